using System.Globalization;
using Proxy.S3.Errors;
using Proxy.S3.Objects;
using Proxy.S3.Requests;
using Proxy.S3.Xml;
using Proxy.Server.Requests;
using Proxy.Server.Routing;

namespace Proxy.Server.Operations.Buckets;

/// <summary>ListObjects, both versions: the same page, told in two ways.</summary>
internal sealed class ListObjects : IOperation
{
    public ValueTask AnswerAsync(S3Request request)
    {
        var store = ((LocalBackend)request.Backend).Store;
        return AnswerAsync(request, query => store.ListObjectsAsync(request.Target.Bucket, query, request.Aborted));
    }

    /// <param name="list">Gives a page for what the request asks.</param>
    internal static async ValueTask AnswerAsync(S3Request request, Func<ListQuery, ValueTask<ListPage>> list)
    {
        var query = request.Target.Query;
        var isV2 = request.Operation == S3Operation.ListObjectsV2;
        var delimiter = query.Get("delimiter");
        var token = isV2 ? query.Get("continuation-token") : null;
        var startAfter = query.Get("start-after");
        var after = token is { Length: > 0 } ? ListingNames.FromContinuationToken(token) : isV2 ? startAfter : query.Get("marker");
        var listing = new ListingEcho
        {
            Bucket = request.Target.Bucket,
            Prefix = query.Get("prefix") ?? "",
            Delimiter = delimiter,
            MaxKeys = MaxKeys(request, "max-keys", S3Limits.MaxListKeys),
            UrlEncoded = UrlEncoded(request),
            Marker = query.Get("marker"),
            ContinuationToken = token,
            StartAfter = startAfter,
            FetchOwner = !isV2 || string.Equals(query.Get("fetch-owner"), "true", StringComparison.OrdinalIgnoreCase),
        };
        var page = await list(new ListQuery
        {
            Prefix = listing.Prefix,
            Delimiter = string.IsNullOrEmpty(delimiter) ? null : delimiter,
            After = string.IsNullOrEmpty(after) ? null : after,
            MaxKeys = Math.Min(listing.MaxKeys, S3Limits.MaxListKeys),
        });
        if (isV2)
        {
            await XmlAnswer.WriteAsync(request, (listing, page), static (state, buffer) => ListingXml.WriteV2(buffer, state.listing, state.page, XmlOwner.Default));
        }
        else
        {
            await XmlAnswer.WriteAsync(request, (listing, page), static (state, buffer) => ListingXml.WriteV1(buffer, state.listing, state.page, XmlOwner.Default));
        }
    }

    /// <exception cref="S3Exception">InvalidArgument 400 for anything but <c>url</c>.</exception>
    internal static bool UrlEncoded(S3Request request) => request.Target.Query.Get("encoding-type") switch
    {
        null or "" => false,
        "url" => true,
        _ => throw InvalidArgument(request, "encoding-type", "Invalid Encoding Method specified in Request"),
    };

    /// <exception cref="S3Exception">InvalidArgument 400 unless 0 to 2^31-1.</exception>
    internal static int MaxKeys(S3Request request, string name, int standard)
    {
        var text = request.Target.Query.Get(name);
        if (string.IsNullOrEmpty(text))
        {
            return standard;
        }

        return int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number)
            ? Math.Min(number, standard)
            : throw InvalidArgument(request, name, $"Argument {name} must be an integer between 0 and 2147483647");
    }

    private static S3Exception InvalidArgument(S3Request request, string name, string message) => new(S3ErrorCode.InvalidArgument, request.Resource, message)
    {
        Details = [new("ArgumentName", name), new("ArgumentValue", request.Target.Query.Get(name) ?? "")],
    };
}
