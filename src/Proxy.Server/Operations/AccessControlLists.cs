using Proxy.S3.Errors;
using Proxy.S3.Objects;
using Proxy.S3.Requests;
using Proxy.S3.Xml;
using Proxy.Server.Requests;
using Proxy.Server.Routing;

namespace Proxy.Server.Operations;

/// <summary>GET and PUT ?acl on the local store, where everything belongs to its one owner: what S3 calls ACLs disabled.</summary>
internal sealed class AccessControlLists : IOperation
{
    // Of S3's canned ACLs, those that say what holds anyway; the others would make something public that stays private.
    private static readonly string[] Private = ["private", "bucket-owner-full-control"];

    private static readonly string[] Others = ["public-read", "public-read-write", "authenticated-read", "aws-exec-read", "bucket-owner-read", "log-delivery-write"];

    public async ValueTask AnswerAsync(S3Request request)
    {
        var store = ((LocalBackend)request.Backend).Store;
        if (request.Target.HasKey)
        {
            await store.HeadObjectAsync(request.Id, new ObjectReadOptions(), request.Aborted);
        }
        else
        {
            await store.HeadBucketAsync(request.Target.Bucket, request.Aborted);
        }

        if (request.Operation is S3Operation.GetBucketAcl or S3Operation.GetObjectAcl)
        {
            await XmlAnswer.WriteAsync(request, XmlOwner.Default, static (owner, buffer) => BucketXml.WritePrivateAcl(buffer, owner));
            return;
        }

        if (request.Header("x-amz-acl") is not { } canned || Others.Contains(canned))
        {
            throw new S3Exception(S3ErrorCode.NotImplemented, request.Resource);
        }

        if (!Private.Contains(canned))
        {
            throw new S3Exception(S3ErrorCode.InvalidArgument, request.Resource) { Details = [new("ArgumentName", "x-amz-acl"), new("ArgumentValue", canned)] };
        }

        request.Response.ContentLength = 0;
    }
}
