namespace Proxy.Server.Forwarding;

/// <summary>The backend's answer to a forwarded request, before the client sees any of it.</summary>
public sealed class BackendResponse
{
    internal BackendResponse(HttpResponseMessage message, ReadOnlyMemory<byte>? body, string? errorCode)
    {
        Message = message;
        Body = body;
        ErrorCode = errorCode;
    }

    /// <summary>Status and headers; its content must not be read. Use NonValidated headers.</summary>
    public HttpResponseMessage Message { get; }

    public int StatusCode => (int)Message.StatusCode;

    /// <summary>The whole body when it was asked to be buffered; null otherwise.</summary>
    public ReadOnlyMemory<byte>? Body { get; }

    /// <summary>The code of an Error document in <see cref="Body"/>, also under status 200; null when there is none or nothing was buffered.</summary>
    public string? ErrorCode { get; }

    /// <summary>2xx, and no Error inside.</summary>
    public bool Succeeded => StatusCode is >= 200 and < 300 && ErrorCode is null;

    /// <summary>First value of a header; null when there is none.</summary>
    public string? Header(string name)
        => Message.Headers.NonValidated.TryGetValues(name, out var values) || (Message.Content?.Headers.NonValidated.TryGetValues(name, out values) ?? false)
            ? values.ToString() : null;

    /// <summary>With quotes, as on the wire; null when the backend sent none.</summary>
    public string? ETag => Header("ETag");
}
