using Proxy.S3.Objects;
using Proxy.S3.Requests;
using Proxy.S3.Xml;
using Proxy.Server.Requests;
using Proxy.Server.Routing;

namespace Proxy.Server.Operations.Buckets;

/// <summary>ListObjectVersions of a bucket that never had versioning: every object is its own latest version, with the id <c>null</c>.</summary>
internal sealed class ListObjectVersions : IOperation
{
    public async ValueTask AnswerAsync(S3Request request)
    {
        var query = request.Target.Query;
        var listing = new ListingEcho
        {
            Bucket = request.Target.Bucket,
            Prefix = query.Get("prefix") ?? "",
            Delimiter = query.Get("delimiter"),
            MaxKeys = ListObjects.MaxKeys(request, "max-keys", S3Limits.MaxListKeys),
            UrlEncoded = ListObjects.UrlEncoded(request),
            Marker = query.Get("key-marker"),
            VersionMarker = query.Get("version-id-marker"),
        };

        // A key has one version: with or without a version marker, the next one is of the next key.
        var page = await ((LocalBackend)request.Backend).Store.ListObjectsAsync(
            listing.Bucket,
            new ListQuery
            {
                Prefix = listing.Prefix,
                Delimiter = string.IsNullOrEmpty(listing.Delimiter) ? null : listing.Delimiter,
                After = string.IsNullOrEmpty(listing.Marker) ? null : listing.Marker,
                MaxKeys = listing.MaxKeys,
            },
            request.Aborted);
        await XmlAnswer.WriteAsync(request, (listing, page), static (state, buffer) => ListingXml.WriteVersions(buffer, state.listing, state.page, XmlOwner.Default));
    }
}
