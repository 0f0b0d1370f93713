using Proxy.S3.Objects;
using Proxy.S3.Xml;
using Proxy.Server.Requests;
using Proxy.Server.Routing;

namespace Proxy.Server.Operations.Buckets;

/// <summary>The buckets that the credential may see something of.</summary>
internal sealed class ListBuckets : IOperation
{
    public async ValueTask AnswerAsync(S3Request request)
    {
        var all = await ((LocalBackend)request.Backend).Store.ListBucketsAsync(request.Aborted);
        var policy = request.Auth.Credential!.Policy;
        BucketInfo[] visible = [.. all.Where(bucket => policy.AllowsSomeOf(bucket.Name))];
        await XmlAnswer.WriteAsync(request, visible, static (buckets, buffer) => BucketXml.WriteListBuckets(buffer, buckets, XmlOwner.Default));
    }
}
