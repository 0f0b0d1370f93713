using Proxy.S3.Checksums;
using Proxy.S3.Errors;
using Proxy.S3.Objects;
using Proxy.S3.Xml;
using Proxy.Server.Requests;
using Proxy.Server.Routing;

namespace Proxy.Server.Operations.Multipart;

internal sealed class CreateMultipartUpload : IOperation
{
    public async ValueTask AnswerAsync(S3Request request)
    {
        var options = Upload.Options(request);
        var checksumType = CheckedType(request, options);
        var id = request.Id;
        var uploadId = await ((LocalBackend)request.Backend).Store.CreateMultipartUploadAsync(id, options, request.Aborted);
        if (checksumType is not null)
        {
            request.Response.Headers["x-amz-checksum-algorithm"] = options.ChecksumAlgorithm;
            request.Response.Headers["x-amz-checksum-type"] = checksumType;
        }

        await XmlAnswer.WriteAsync(request, (id, uploadId), static (s, buffer) => MultipartXml.WriteInitiate(buffer, s.id, s.uploadId));
    }

    /// <returns>Null where the upload names no algorithm.</returns>
    private static string? CheckedType(S3Request request, PutOptions options)
    {
        var type = Upload.ChecksumType(request);
        if (!ChecksumAlgorithms.TryParse(options.ChecksumAlgorithm, out var algorithm))
        {
            return type is null ? null : throw new S3Exception(
                S3ErrorCode.InvalidRequest, request.Resource, "The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header.");
        }

        type ??= algorithm.MultipartType();
        var exists = type == ObjectChecksums.FullObject ? algorithm.IsCrc() : algorithm != ChecksumAlgorithm.Crc64Nvme;
        return exists
            ? type
            : throw new S3Exception(
                S3ErrorCode.InvalidRequest, request.Resource, $"The {type} checksum type cannot be used with the {algorithm.ToS3Name().ToLowerInvariant()} checksum algorithm.");
    }
}
