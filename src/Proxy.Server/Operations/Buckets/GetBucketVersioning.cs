using Proxy.S3.Xml;
using Proxy.Server.Requests;
using Proxy.Server.Routing;

namespace Proxy.Server.Operations.Buckets;

/// <summary>The local store keeps one version of an object: versioning was never enabled, which S3 says by an empty document.</summary>
internal sealed class GetBucketVersioning : IOperation
{
    public async ValueTask AnswerAsync(S3Request request)
    {
        await ((LocalBackend)request.Backend).Store.HeadBucketAsync(request.Target.Bucket, request.Aborted);
        await XmlAnswer.WriteAsync(request, 0, static (_, buffer) => BucketXml.WriteVersioning(buffer));
    }
}
