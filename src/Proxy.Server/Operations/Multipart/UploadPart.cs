using Proxy.Cache;
using Proxy.Server.Requests;
using Proxy.Server.Routing;

namespace Proxy.Server.Operations.Multipart;

/// <summary>One part into the local store, captured until its upload is completed.</summary>
internal sealed class UploadPart(ObjectCache cache) : IOperation
{
    public async ValueTask AnswerAsync(S3Request request)
    {
        var (number, uploadId) = Upload.Part(request);
        var content = Upload.Open(request);
        var id = request.Id;
        using var capture = cache.TryBeginPartCapture(id, uploadId, number, content.Length);
        await using var body = new CaptureStream(content.Stream, capture);
        var part = await ((LocalBackend)request.Backend).Store.UploadPartAsync(id, uploadId, number, content with { Stream = body }, request.Aborted);
        request.BytesReceived = body.BytesRead;
        if (capture is not null)
        {
            cache.KeepPart(id, uploadId, number, part.ETag, capture);
        }

        Upload.WriteResult(request, part.ETag, part.Checksums);
        request.Response.ContentLength = 0;
    }
}
