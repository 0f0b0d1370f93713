using Proxy.Cache;
using Proxy.S3.Errors;
using Proxy.S3.Objects;
using Proxy.S3.Requests;
using Proxy.S3.Xml;
using Proxy.Server.Requests;
using Proxy.Server.Routing;

namespace Proxy.Server.Operations.Buckets;

/// <summary>POST ?delete: up to 1000 keys, each with its own outcome.</summary>
internal sealed class DeleteObjects(ObjectCache cache) : IOperation
{
    /// <summary>Deletions under way at once: enough to share the store's group commits.</summary>
    private const int Together = 64;

    public async ValueTask AnswerAsync(S3Request request)
    {
        if (request.Header("content-md5") is null && !HasChecksum(request))
        {
            throw new S3Exception(S3ErrorCode.InvalidRequest, request.Resource, "Missing required header for this request: Content-MD5 OR x-amz-checksum-*");
        }

        var asked = DeleteXml.Read(await RequestXml.ReadAsync(request, S3Limits.MaxDeleteXmlBytes));
        var store = ((LocalBackend)request.Backend).Store;
        var bucket = request.Target.Bucket;
        await store.HeadBucketAsync(bucket, request.Aborted);
        var outcomes = new DeleteOutcome[asked.Objects.Count];
        using var turns = new SemaphoreSlim(Together);
        await Task.WhenAll(asked.Objects.Select(async (entry, i) =>
        {
            await turns.WaitAsync(request.Aborted);
            try
            {
                outcomes[i] = await DeleteAsync(request, store, new ObjectId(bucket, entry.Key), entry);
            }
            finally
            {
                turns.Release();
            }
        }));
        await XmlAnswer.WriteAsync(request, (outcomes, asked.Quiet), static (s, buffer) => DeleteXml.Write(buffer, s.outcomes, s.Quiet));
    }

    private async Task<DeleteOutcome> DeleteAsync(S3Request request, IObjectStore store, ObjectId id, DeleteEntry entry)
    {
        try
        {
            if (!request.Auth.Credential!.Policy.Allows(id.Bucket, id.Key, write: true))
            {
                throw new S3Exception(S3ErrorCode.AccessDenied);
            }

            // Without versioning there is the version "null", and no other that could be meant.
            if (entry.VersionId is not (null or "null"))
            {
                throw new S3Exception(S3ErrorCode.NoSuchVersion);
            }

            await LocalMutation.RunAsync(cache, id, async mutation =>
            {
                await store.DeleteObjectAsync(id, entry.Conditions, request.Aborted);
                mutation.Changed();
                return true;
            });
            return new DeleteOutcome(id.Key, entry.VersionId, Error: null);
        }
        catch (S3Exception e)
        {
            return new DeleteOutcome(id.Key, entry.VersionId, e);
        }
    }

    private static bool HasChecksum(S3Request request) =>
        request.Header("x-amz-trailer") is not null || request.Header("x-amz-sdk-checksum-algorithm") is not null
        || request.Http.Request.Headers.Any(header => header.Key.StartsWith("x-amz-checksum-", StringComparison.OrdinalIgnoreCase));
}
