using Proxy.Cache;
using Proxy.S3.Errors;
using Proxy.S3.Objects;
using Proxy.S3.Xml;
using Proxy.Server.Requests;
using Proxy.Server.Routing;

namespace Proxy.Server.Operations.Objects;

/// <summary>PUT with x-amz-copy-source, within the local store.</summary>
internal sealed class CopyObject(ObjectCache cache, BackendRouter router) : IOperation
{
    public async ValueTask AnswerAsync(S3Request request)
    {
        var source = CopySource.Read(request);
        var id = request.Id;
        var replaceMetadata = Directive(request, "x-amz-metadata-directive");
        var replaceTags = Directive(request, "x-amz-tagging-directive");
        var uploaded = Upload.Options(request);
        if (source == id && !replaceMetadata && !replaceTags && request.Header("x-amz-storage-class") is null)
        {
            throw new S3Exception(
                S3ErrorCode.InvalidRequest, request.Resource,
                "This copy request is illegal because it is trying to copy an object to itself without changing the object's metadata, storage class, website redirect location or encryption attributes.");
        }

        if (router.Resolve(source.Bucket, source.Key) != request.Backend)
        {
            throw new S3Exception(S3ErrorCode.NotImplemented, request.Resource, "Copies between backends are not implemented.");
        }

        var options = new CopyOptions
        {
            SourceConditions = CopySource.Conditions(request),
            Replacement = replaceMetadata ? uploaded : null,
            KeepTags = !replaceTags,
            Tags = uploaded.Tags,
            IfMatch = uploaded.IfMatch,
            IfNoneMatch = uploaded.IfNoneMatch,
            ChecksumAlgorithm = uploaded.ChecksumAlgorithm,
        };
        var store = ((LocalBackend)request.Backend).Store;
        var result = await LocalMutation.RunAsync(cache, id, async mutation =>
        {
            try
            {
                var copied = await store.CopyObjectAsync(source, id, options, request.Aborted);
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

    private static bool Directive(S3Request request, string name) => request.Header(name) switch
    {
        null or "COPY" => false,
        "REPLACE" => true,
        var other => throw new S3Exception(S3ErrorCode.InvalidArgument, request.Resource, "Unknown directive.") { Details = [new("ArgumentName", name), new("ArgumentValue", other)] },
    };
}
