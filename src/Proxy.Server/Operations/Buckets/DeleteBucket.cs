using Proxy.Server.Requests;
using Proxy.Server.Routing;

namespace Proxy.Server.Operations.Buckets;

internal sealed class DeleteBucket : IOperation
{
    public async ValueTask AnswerAsync(S3Request request)
    {
        await ((LocalBackend)request.Backend).Store.DeleteBucketAsync(request.Target.Bucket, request.Aborted);
        request.Response.StatusCode = StatusCodes.Status204NoContent;
    }
}
