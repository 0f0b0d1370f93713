using System.Buffers;
using Proxy.S3.Errors;
using Proxy.S3.Requests;
using Proxy.S3.Streaming;

namespace Proxy.Server.Requests;

/// <summary>Reads a request's XML document: verified like any payload, and bounded.</summary>
internal static class RequestXml
{
    /// <returns>The document; empty when there is none.</returns>
    /// <exception cref="S3Exception">MalformedXML 400 over <paramref name="maxBytes"/>; BadDigest, XAmzContentSHA256Mismatch … 400.</exception>
    public static async ValueTask<ReadOnlyMemory<byte>> ReadAsync(S3Request request, int maxBytes)
    {
        var content = PayloadReader.Open(request.Http.Request.Body, request.Auth, request.Headers, checksumsOfObject: request.Operation == S3Operation.CompleteMultipartUpload);
        await using var stream = content.Stream;
        var document = new ArrayBufferWriter<byte>((int)Math.Clamp(content.Length ?? 4096, 256, maxBytes));
        while (true)
        {
            var room = document.GetMemory(1024);
            var read = await stream.ReadAsync(room, request.Aborted);
            if (read == 0)
            {
                return document.WrittenMemory;
            }

            document.Advance(read);
            if (document.WrittenCount > maxBytes)
            {
                throw new S3Exception(S3ErrorCode.MalformedXml, request.Resource);
            }
        }
    }
}
