using Proxy.S3.Errors;
using Proxy.S3.Objects;
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
        var local = (LocalBackend)request.Backend;
        var (there, here) = (new ObjectId(CopySource.Resolve(router, source).Physical(source.Bucket), source.Key), new ObjectId(local.Physical(request.Id.Bucket), request.Id.Key));
        try
        {
            var part = await local.Unrenamed.UploadPartCopyAsync(
                there, CopySource.Range(request), CopySource.Conditions(request), here, uploadId, number, request.Aborted);
            await XmlAnswer.WriteAsync(request, part, static (copied, buffer) => ObjectXml.WriteCopyPart(buffer, copied));
        }
        catch (S3Exception e)
        {
            throw CopySource.AsCopyError(e);
        }
    }
}
