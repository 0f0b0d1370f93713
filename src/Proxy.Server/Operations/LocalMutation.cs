using Proxy.Cache;
using Proxy.Cache.Invalidation;
using Proxy.S3.Errors;
using Proxy.S3.Objects;

namespace Proxy.Server.Operations;

/// <summary>Runs a change on the local store between the two raises of the key's generation.</summary>
internal static class LocalMutation
{
    /// <param name="change">Reports its outcome to the mutation; a refusal by S3's rules is reported for it, anything else stays an unknown outcome.</param>
    public static async ValueTask<T> RunAsync<T>(ObjectCache cache, ObjectId id, Func<Mutation, ValueTask<T>> change)
    {
        using var mutation = cache.BeginMutation(id);
        try
        {
            return await change(mutation);
        }
        catch (S3Exception e) when (e.Code.Status < 500)
        {
            mutation.Refused();
            throw;
        }
    }
}
