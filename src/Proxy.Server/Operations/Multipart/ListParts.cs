using Proxy.S3.Requests;
using Proxy.S3.Xml;
using Proxy.Server.Operations.Buckets;
using Proxy.Server.Requests;
using Proxy.Server.Routing;

namespace Proxy.Server.Operations.Multipart;

internal sealed class ListParts : IOperation
{
    public async ValueTask AnswerAsync(S3Request request)
    {
        var query = request.Target.Query;
        var id = request.Id;
        var uploadId = query.Get("uploadId") ?? "";
        var maxParts = ListObjects.MaxKeys(request, "max-parts", S3Limits.MaxListParts);
        var after = ListObjects.MaxKeys(request, "part-number-marker", standard: int.MaxValue) is var marker && marker == int.MaxValue ? 0 : marker;
        var page = await ((LocalBackend)request.Backend).Store.ListPartsAsync(id, uploadId, after, maxParts, request.Aborted);
        await XmlAnswer.WriteAsync(request, (id, uploadId, after, maxParts, page), static (s, buffer) => MultipartXml.WriteListParts(buffer, s.id, s.uploadId, s.after, s.maxParts, s.page, XmlOwner.Default));
    }
}
