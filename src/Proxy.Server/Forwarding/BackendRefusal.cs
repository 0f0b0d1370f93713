using System.Text;
using Proxy.Backends.Remote;
using Proxy.S3.Errors;

namespace Proxy.Server.Forwarding;

/// <summary>A 400, 401 or 403 of the backend's: the client's, unless it is about the keys that the proxy has there.</summary>
internal static class BackendRefusal
{
    /// <summary>Of the document, whose Code comes first. What S3 says of a signature goes on with all that it signed, several times.</summary>
    private const int MaxBytes = 64 << 10;

    /// <returns>What the client is told in its place; null when it goes to the client, without the name of the proxy's key: its content can still be read.</returns>
    public static async ValueTask<S3Exception?> ReadAsync(HttpResponseMessage response, RemoteBackend backend, CancellationToken cancellation)
    {
        if ((int)response.StatusCode is not (400 or 401 or 403))
        {
            return null;
        }

        var rest = await response.Content.ReadAsStreamAsync(cancellation);
        var buffer = new byte[Math.Min(response.Content.Headers.ContentLength ?? MaxBytes, MaxBytes)];
        var length = await rest.ReadAtLeastAsync(buffer, buffer.Length, throwOnEndOfStream: false, cancellation);
        ReadOnlyMemory<byte> document = buffer.AsMemory(0, length);

        // HEAD has no document; MinIO says the code in a header then.
        var code = CodeOf(document.Span)
            ?? (response.Headers.NonValidated.TryGetValues("x-minio-error-code", out var told) ? told.ToString() : null);
        if (backend.Keys.Judge(response.StatusCode, code, resource: null) is { } refusal)
        {
            return refusal;
        }

        var shown = WithoutKey(document);
        HeadFirst.PutBack(response, shown, rest);
        if (shown.Length != length && response.Content.Headers.ContentLength is { } declared)
        {
            response.Content.Headers.ContentLength = declared + shown.Length - length;
        }

        return null;
    }

    private static string? CodeOf(ReadOnlySpan<byte> document)
        => document.IndexOf("<Code>"u8) is var at and >= 0 && document[at..].IndexOf("</Code>"u8) is var end and >= 0
            ? Encoding.Latin1.GetString(document.Slice(at + "<Code>".Length, end - "<Code>".Length)).Trim() : null;

    private static ReadOnlyMemory<byte> WithoutKey(ReadOnlyMemory<byte> document)
    {
        var start = document.Span.IndexOf("<AWSAccessKeyId>"u8);
        var end = document.Span.IndexOf("</AWSAccessKeyId>"u8);
        return start < 0 || end < start ? document : Encoding.Latin1.GetBytes(Encoding.Latin1.GetString(document.Span).Remove(start, end + "</AWSAccessKeyId>".Length - start));
    }
}
