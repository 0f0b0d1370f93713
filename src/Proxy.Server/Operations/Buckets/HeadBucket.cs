using Proxy.Server.Hosting;
using Proxy.Server.Requests;
using Proxy.Server.Routing;

namespace Proxy.Server.Operations.Buckets;

internal sealed class HeadBucket(S3Options options) : IOperation
{
    public async ValueTask AnswerAsync(S3Request request)
    {
        await ((LocalBackend)request.Backend).Store.HeadBucketAsync(request.Target.Bucket, request.Aborted);
        request.Response.Headers["x-amz-bucket-region"] = options.Region;
        request.Response.ContentLength = 0;
    }
}
