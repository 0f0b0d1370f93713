using Proxy.Cache;
using Proxy.S3.Errors;
using Proxy.S3.Objects;
using Proxy.S3.Xml;
using Proxy.Server.Requests;
using Proxy.Server.Routing;

namespace Proxy.Server.Operations.Objects;

/// <summary>PUT with x-amz-copy-source, within the local store.</summary>
/// <remarks>
/// The copy of a multipart object keeps its ETag with the <c>-N</c>, where AWS gives the MD5 of the whole: the store shares the bytes instead of reading
/// them again, and an ETag is opaque to whoever follows the protocol.
/// </remarks>
internal sealed class CopyObject(ObjectCache cache, BackendRouter router) : IOperation
{
    public async ValueTask AnswerAsync(S3Request request)
    {
        var source = CopySource.Read(request);
        var id = request.Id;
        var replaceMetadata = CopySource.IsReplace(request, "x-amz-metadata-directive");
        var replaceTags = CopySource.IsReplace(request, "x-amz-tagging-directive");
        var uploaded = Upload.Options(request);
        if (source == id && !replaceMetadata && !replaceTags && request.Header("x-amz-storage-class") is null)
        {
            throw new S3Exception(
                S3ErrorCode.InvalidRequest, request.Resource,
                "This copy request is illegal because it is trying to copy an object to itself without changing the object's metadata, storage class, website redirect location or encryption attributes.");
        }

        var options = new CopyOptions
        {
            SourceConditions = CopySource.Conditions(request),
            Replacement = replaceMetadata ? uploaded : null,
            StorageClass = request.Header("x-amz-storage-class"),
            KeepTags = !replaceTags,
            Tags = uploaded.Tags,
            IfMatch = uploaded.IfMatch,
            IfNoneMatch = uploaded.IfNoneMatch,
            ChecksumAlgorithm = uploaded.ChecksumAlgorithm,
        };
        var local = (LocalBackend)request.Backend;
        var (there, here) = (new ObjectId(CopySource.Resolve(router, source).Physical(source.Bucket), source.Key), new ObjectId(local.Physical(id.Bucket), id.Key));
        var result = await LocalMutation.RunAsync(cache, id, async mutation =>
        {
            try
            {
                var copied = await local.Unrenamed.CopyObjectAsync(there, here, options, request.Aborted);
                mutation.Changed();
                return copied;
            }
            catch (S3Exception e)
            {
                throw CopySource.AsCopyError(e);
            }
        });
        await XmlAnswer.WriteAsync(request, result, static (copied, buffer) => ObjectXml.WriteCopyObject(buffer, copied.ETag, copied.LastModified, copied.Checksums));
    }
}
