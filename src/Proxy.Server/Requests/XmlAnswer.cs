using System.Buffers;

namespace Proxy.Server.Requests;

/// <summary>Sends an XML document with its length, as S3 does.</summary>
internal static class XmlAnswer
{
    public static ValueTask WriteAsync<TState>(S3Request request, TState state, Action<TState, IBufferWriter<byte>> write, int status = StatusCodes.Status200OK)
    {
        var document = new ArrayBufferWriter<byte>(1024);
        write(state, document);
        return WriteAsync(request, document.WrittenMemory, status);
    }

    public static async ValueTask WriteAsync(S3Request request, ReadOnlyMemory<byte> document, int status = StatusCodes.Status200OK)
    {
        var response = request.Response;
        if (request.IsKeptWaiting)
        {
            var rest = LateAnswer.WithoutDeclaration(document);
            request.BytesSent += rest.Length;
            await Stall.WriteAsync(request, rest);
            return;
        }

        response.StatusCode = status;
        response.ContentType = "application/xml";
        response.ContentLength = document.Length;
        if (request.Method != "HEAD")
        {
            request.BytesSent = document.Length;
            await Stall.WriteAsync(request, document);
        }
    }
}
