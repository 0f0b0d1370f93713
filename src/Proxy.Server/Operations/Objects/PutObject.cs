using Proxy.Cache;
using Proxy.S3.Errors;
using Proxy.Server.Requests;
using Proxy.Server.Routing;

namespace Proxy.Server.Operations.Objects;

/// <summary>PUT of an object into the local store, captured for the cache on its way.</summary>
internal sealed class PutObject(ObjectCache cache) : IOperation
{
    public async ValueTask AnswerAsync(S3Request request)
    {
        var options = Upload.Options(request);
        RefuseWrongConditions(request);
        var content = Upload.Open(request);
        var store = ((LocalBackend)request.Backend).Store;
        var id = request.Id;
        var result = await LocalMutation.RunAsync(cache, id, async mutation =>
        {
            using var capture = cache.TryBeginCapture(id, content.Length);
            await using var body = new CaptureStream(content.Stream, capture);
            var stored = await store.PutObjectAsync(id, content with { Stream = body }, options, request.Aborted);
            request.BytesReceived = body.BytesRead;
            mutation.Stored(stored.ETag, capture, info: null, store);
            return stored;
        });
        Upload.WriteResult(request, result.ETag, result.Checksums);
        request.Response.ContentLength = 0;
    }

    /// <summary>A write has one condition. S3 knows If-None-Match only as <c>*</c>; MinIO and RGW also as an entity tag.</summary>
    internal static void RefuseWrongConditions(S3Request request)
    {
        if (request.Header("if-match") is not null && request.Header("if-none-match") is not null)
        {
            throw new S3Exception(S3ErrorCode.NotImplemented, request.Resource) { Details = [new("Header", "If-None-Match")] };
        }
    }
}
