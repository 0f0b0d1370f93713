using System.Globalization;
using Proxy.Cache;
using Proxy.S3.Checksums;
using Proxy.S3.Errors;
using Proxy.S3.Objects;
using Proxy.S3.Requests;
using Proxy.S3.Xml;
using Proxy.Server.Operations.Objects;
using Proxy.Server.Requests;
using Proxy.Server.Routing;

namespace Proxy.Server.Operations.Multipart;

/// <summary>Makes the object out of its parts, and publishes a layout over what was captured of them.</summary>
internal sealed class CompleteMultipartUpload(ObjectCache cache) : IOperation
{
    public async ValueTask AnswerAsync(S3Request request)
    {
        PutObject.RefuseWrongConditions(request);
        var parts = MultipartXml.ReadComplete(await RequestXml.ReadAsync(request, S3Limits.MaxCompleteXmlBytes));
        var uploadId = request.Target.Query.Get("uploadId") ?? "";
        var id = request.Id;
        var store = ((LocalBackend)request.Backend).Store;
        var options = new CompleteOptions
        {
            Parts = parts,
            IfMatch = request.Header("if-match"),
            IfNoneMatch = request.Header("if-none-match"),
            Checksums = ExpectedChecksum(request),
            ChecksumType = Upload.ChecksumType(request),
            ObjectSize = request.Header("x-amz-mp-object-size") is { } size ? ParseSize(request, size) : null,
        };
        var result = await LocalMutation.RunAsync(cache, id, async mutation =>
        {
            var completed = await store.CompleteMultipartUploadAsync(id, uploadId, options, request.Aborted);
            mutation.Completed(uploadId, [.. parts.Select(part => (part.Number, part.ETag))], completed.ETag, info: null, store);
            return completed;
        });
        var location = $"{request.Http.Request.Scheme}://{request.Header("Host")}/{id.Bucket}/{id.Key}";
        await XmlAnswer.WriteAsync(request, (id, location, result), static (s, buffer) => MultipartXml.WriteComplete(buffer, s.id, s.location, s.result.ETag, s.result.Checksums));
    }

    private static long ParseSize(S3Request request, string size) =>
        long.TryParse(size, NumberStyles.None, CultureInfo.InvariantCulture, out var bytes) ? bytes : throw new S3Exception(S3ErrorCode.InvalidArgument, request.Resource);

    private static ObjectChecksums? ExpectedChecksum(S3Request request)
    {
        foreach (var algorithm in ChecksumAlgorithms.All)
        {
            if (request.Header(algorithm.ToHeaderName()) is { } value)
            {
                return new ObjectChecksums(algorithm.ToS3Name(), value, Upload.ChecksumType(request) ?? algorithm.MultipartType());
            }
        }

        return null;
    }
}
