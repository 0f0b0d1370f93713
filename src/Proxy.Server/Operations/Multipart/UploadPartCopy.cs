using Proxy.S3.Errors;
using Proxy.S3.Xml;
using Proxy.Server.Requests;
using Proxy.Server.Routing;

namespace Proxy.Server.Operations.Multipart;

internal sealed class UploadPartCopy(BackendRouter router) : IOperation
{
    public async ValueTask AnswerAsync(S3Request request)
    {
        var (number, uploadId) = Upload.Part(request);
        var source = CopySource.Read(request);
        if (router.Resolve(source.Bucket, source.Key) != request.Backend)
        {
            throw new S3Exception(S3ErrorCode.NotImplemented, request.Resource, "Copies between backends are not implemented.");
        }

        try
        {
            var part = await ((LocalBackend)request.Backend).Store.UploadPartCopyAsync(
                source, CopySource.Range(request), CopySource.Conditions(request), request.Id, uploadId, number, request.Aborted);
            await XmlAnswer.WriteAsync(request, part, static (copied, buffer) => ObjectXml.WriteCopyPart(buffer, copied));
        }
        catch (S3Exception e)
        {
            throw CopySource.AsCopyError(e);
        }
    }
}
