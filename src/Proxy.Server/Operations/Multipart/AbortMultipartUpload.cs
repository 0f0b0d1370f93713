using Proxy.Cache;
using Proxy.Server.Requests;
using Proxy.Server.Routing;

namespace Proxy.Server.Operations.Multipart;

internal sealed class AbortMultipartUpload(ObjectCache cache) : IOperation
{
    public async ValueTask AnswerAsync(S3Request request)
    {
        var uploadId = request.Target.Query.Get("uploadId") ?? "";
        await ((LocalBackend)request.Backend).Store.AbortMultipartUploadAsync(request.Id, uploadId, request.Aborted);
        cache.DropUpload(request.Id, uploadId);
        request.Response.StatusCode = StatusCodes.Status204NoContent;
    }
}
