using Proxy.S3.Xml;
using Proxy.Server.Requests;
using Proxy.Server.Routing;

namespace Proxy.Server.Operations.Multipart;

internal sealed class CreateMultipartUpload : IOperation
{
    public async ValueTask AnswerAsync(S3Request request)
    {
        var options = Upload.Options(request);
        var id = request.Id;
        var uploadId = await ((LocalBackend)request.Backend).Store.CreateMultipartUploadAsync(id, options, request.Aborted);
        if (options.ChecksumAlgorithm is { } algorithm)
        {
            request.Response.Headers["x-amz-checksum-algorithm"] = algorithm;
            request.Response.Headers["x-amz-checksum-type"] = options.ChecksumType ?? (algorithm == "CRC64NVME" ? "FULL_OBJECT" : "COMPOSITE");
        }

        await XmlAnswer.WriteAsync(request, (id, uploadId), static (s, buffer) => MultipartXml.WriteInitiate(buffer, s.id, s.uploadId));
    }
}
