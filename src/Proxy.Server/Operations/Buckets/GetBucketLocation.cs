using Proxy.S3.Xml;
using Proxy.Server.Hosting;
using Proxy.Server.Requests;
using Proxy.Server.Routing;

namespace Proxy.Server.Operations.Buckets;

internal sealed class GetBucketLocation(S3Options options) : IOperation
{
    public async ValueTask AnswerAsync(S3Request request)
    {
        await ((LocalBackend)request.Backend).Store.HeadBucketAsync(request.Target.Bucket, request.Aborted);
        await XmlAnswer.WriteAsync(request, options.Region, static (region, buffer) => BucketXml.WriteLocation(buffer, region));
    }
}
