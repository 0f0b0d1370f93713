using Proxy.S3.Objects;
using Proxy.Server.Operations.Buckets;
using Proxy.Server.Requests;
using Proxy.Server.Routing;

namespace Proxy.Server.Operations.Spanning;

/// <summary>
/// ListBuckets over every backend that some bucket's name leads to, under the names clients use. One that cannot be asked fails the whole: a short list would pass for a
/// full one.
/// </summary>
internal sealed class MergedBuckets(BackendRouter router) : ISpanningOperation
{
    public async ValueTask<bool> TryAnswerAsync(S3Request request)
    {
        var model = router.Model;
        var policy = request.Auth.Credential!.Policy;
        var merged = new SortedDictionary<string, BucketInfo>(StringComparer.Ordinal);
        foreach (var backend in model.OfBuckets)
        {
            foreach (var bucket in await backend.ListBucketsAsync(request.Aborted))
            {
                foreach (var name in model.ClientNames(backend, bucket.Name).Where(name => policy.AllowsSomeOf(name)))
                {
                    merged.TryAdd(name, bucket with { Name = name });
                }
            }
        }

        await ListBuckets.WriteAsync(request, [.. merged.Values]);
        return true;
    }
}
