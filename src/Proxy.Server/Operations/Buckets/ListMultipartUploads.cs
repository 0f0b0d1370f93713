using Proxy.S3.Objects;
using Proxy.S3.Requests;
using Proxy.S3.Xml;
using Proxy.Server.Requests;
using Proxy.Server.Routing;

namespace Proxy.Server.Operations.Buckets;

internal sealed class ListMultipartUploads : IOperation
{
    public async ValueTask AnswerAsync(S3Request request)
    {
        var query = request.Target.Query;
        var asked = new UploadListQuery
        {
            Prefix = query.Get("prefix") ?? "",
            Delimiter = query.Get("delimiter") is { Length: > 0 } delimiter ? delimiter : null,
            KeyMarker = query.Get("key-marker") is { Length: > 0 } key ? key : null,
            UploadIdMarker = query.Get("upload-id-marker") is { Length: > 0 } upload ? upload : null,
            MaxUploads = ListObjects.MaxKeys(request, "max-uploads", S3Limits.MaxListUploads),
        };
        var urlEncoded = ListObjects.UrlEncoded(request);
        var bucket = request.Target.Bucket;
        var page = await ((LocalBackend)request.Backend).Store.ListMultipartUploadsAsync(bucket, asked, request.Aborted);
        await XmlAnswer.WriteAsync(request, (bucket, asked, page, urlEncoded), static (s, buffer) => MultipartXml.WriteListUploads(buffer, s.bucket, s.asked, s.page, XmlOwner.Default, s.urlEncoded));
    }
}
