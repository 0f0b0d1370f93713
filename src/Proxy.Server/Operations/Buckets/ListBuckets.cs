using Proxy.S3.Errors;
using Proxy.S3.Objects;
using Proxy.S3.Xml;
using Proxy.Server.Requests;
using Proxy.Server.Routing;

namespace Proxy.Server.Operations.Buckets;

/// <summary>The buckets that the credential may see something of.</summary>
internal sealed class ListBuckets : IOperation
{
    private const int MaxBuckets = 10_000;

    public async ValueTask AnswerAsync(S3Request request)
    {
        var all = await ((LocalBackend)request.Backend).Store.ListBucketsAsync(request.Aborted);
        var policy = request.Auth.Credential!.Policy;
        await WriteAsync(request, [.. all.Where(bucket => policy.AllowsSomeOf(bucket.Name))]);
    }

    /// <summary>Answers with the page that the request asks for.</summary>
    /// <param name="visible">Every bucket that the credential may see, by name.</param>
    /// <exception cref="S3Exception">InvalidArgument 400 unless max-buckets is 1 to 10,000 and the token one of ours.</exception>
    internal static ValueTask WriteAsync(S3Request request, IReadOnlyList<BucketInfo> visible)
    {
        var query = request.Target.Query;
        var prefix = query.Get("prefix");
        var max = query.GetInt("max-buckets", 1, MaxBuckets) ?? int.MaxValue;
        var after = query.Get("continuation-token") is { Length: > 0 } token ? ListingNames.FromContinuationToken(token) : "";
        BucketInfo[] rest =
        [
            .. visible.Where(bucket => string.CompareOrdinal(bucket.Name, after) > 0 && bucket.Name.StartsWith(prefix ?? "", StringComparison.Ordinal)),
        ];
        BucketInfo[] page = rest.Length > max ? rest[..max] : rest;
        var next = page.Length < rest.Length ? ListingNames.ToContinuationToken(page[^1].Name) : null;
        return XmlAnswer.WriteAsync(request, (page, next, prefix), static (s, buffer) => BucketXml.WriteListBuckets(buffer, s.page, XmlOwner.Default, s.next, s.prefix));
    }
}
