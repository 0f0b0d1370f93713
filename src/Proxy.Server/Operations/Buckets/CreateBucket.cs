using Proxy.S3.Errors;
using Proxy.S3.Requests;
using Proxy.S3.Xml;
using Proxy.Server.Hosting;
using Proxy.Server.Requests;
using Proxy.Server.Routing;

namespace Proxy.Server.Operations.Buckets;

/// <summary>PUT of a bucket. Creating one's own bucket again is as in S3: 200 without a location, as in us-east-1, 409 with one.</summary>
internal sealed class CreateBucket(S3Options options) : IOperation
{
    public async ValueTask AnswerAsync(S3Request request)
    {
        var bucket = request.Target.Bucket;
        if (!BucketName.IsValidToCreate(bucket))
        {
            throw new S3Exception(S3ErrorCode.InvalidBucketName, request.Resource) { Details = [new("BucketName", bucket)] };
        }

        var body = await RequestXml.ReadAsync(request, S3Limits.MaxSmallXmlBytes);
        var location = BucketXml.ReadCreateBucket(body);
        if (location is { Length: > 0 } && location != options.Region && !options.AnyRegion)
        {
            throw new S3Exception(S3ErrorCode.IllegalLocationConstraintException, request.Resource);
        }

        if (string.Equals(request.Header("x-amz-bucket-object-lock-enabled"), "true", StringComparison.OrdinalIgnoreCase))
        {
            throw new S3Exception(S3ErrorCode.NotImplemented, request.Resource) { Details = [new("Header", "x-amz-bucket-object-lock-enabled")] };
        }

        try
        {
            await ((LocalBackend)request.Backend).Store.CreateBucketAsync(bucket, request.Aborted);
        }
        catch (S3Exception e) when (e.Code == S3ErrorCode.BucketAlreadyOwnedByYou && location is null or "" or "us-east-1")
        {
            // What the client wants is so.
        }

        request.Response.Headers.Location = "/" + bucket;
        request.Response.ContentLength = 0;
    }
}
