using System.Globalization;
using System.Net.Sockets;
using System.Text;
using Proxy.Bench.Workloads;

namespace Proxy.Bench.Peers;

/// <summary>One connection of a <see cref="StaticOrigin"/>: GET and HEAD of objects, with ranges and entity tags, as S3 answers them.</summary>
internal sealed class OriginConnection(StaticOrigin origin, Socket socket)
{
    private const int HeadBytes = 16 << 10;
    private const int BodyBytes = 256 << 10;
    private const string Modified = "Thu, 01 Jan 2026 00:00:00 GMT";

    private readonly byte[] _buffer = new byte[HeadBytes];
    private byte[] _body = [];
    private int _filled;

    public async Task RunAsync(CancellationToken stop)
    {
        socket.NoDelay = true;
        using (socket)
        {
            try
            {
                while (await ReadHeadAsync(stop) is { } head && await AnswerAsync(head, stop))
                {
                    // The next request of this connection.
                }
            }
            catch (Exception error) when (error is SocketException or OperationCanceledException)
            {
                // The peer went away, or the run is over.
            }
        }
    }

    /// <summary>The entity tag of an object's bytes, which never change.</summary>
    private static string TagOf(DatasetObject item) => string.Create(CultureInfo.InvariantCulture, $"\"{item.Content.Choose(7, long.MaxValue):x32}\"");

    /// <returns>Null at the end of the connection, or when what comes is no request.</returns>
    private async Task<string[]?> ReadHeadAsync(CancellationToken stop)
    {
        while (true)
        {
            var end = _buffer.AsSpan(0, _filled).IndexOf("\r\n\r\n"u8);
            if (end >= 0)
            {
                var head = Encoding.ASCII.GetString(_buffer, 0, end).Split("\r\n");
                _buffer.AsSpan((end + 4).._filled).CopyTo(_buffer);
                _filled -= end + 4;
                return head;
            }

            var read = _filled == HeadBytes ? 0 : await socket.ReceiveAsync(_buffer.AsMemory(_filled), stop);
            if (read == 0)
            {
                return null;
            }

            _filled += read;
        }
    }

    /// <returns>False when the connection cannot go on.</returns>
    private async Task<bool> AnswerAsync(string[] head, CancellationToken stop)
    {
        origin.Count();
        var words = head[0].Split(' ');
        if (words.Length != 3 || words[0] is not ("GET" or "HEAD") || words[1].Contains('?', StringComparison.Ordinal))
        {
            // What has a body is not read: the connection ends with it.
            await SendAsync("501 Not Implemented", "", Error("NotImplemented"), false, stop);
            return false;
        }

        var isHead = words[0] == "HEAD";
        if (origin.Find(Uri.UnescapeDataString(words[1])) is not { } item)
        {
            await SendAsync("404 Not Found", "", Error("NoSuchKey"), isHead, stop);
            return true;
        }

        var tag = TagOf(item);
        var facts = $"ETag: {tag}\r\nLast-Modified: {Modified}\r\nAccept-Ranges: bytes\r\n";
        if (Header(head, "If-Match") is { } match && match != "*" && match != tag)
        {
            await SendAsync("412 Precondition Failed", "", Error("PreconditionFailed"), isHead, stop);
            return true;
        }

        if (Header(head, "If-None-Match") == tag)
        {
            await SendAsync("304 Not Modified", facts, null, isHead, stop);
            return true;
        }

        var (start, end) = (0L, item.Size - 1);
        var range = Header(head, "Range");
        if (range is not null && !TryRead(range, item.Size, out start, out end))
        {
            await SendAsync("416 Range Not Satisfiable", string.Create(CultureInfo.InvariantCulture, $"Content-Range: bytes */{item.Size}\r\n"), Error("InvalidRange"), isHead, stop);
            return true;
        }

        // No Cache-Control: how long to keep it is the servers' own configuration.
        var content = range is null ? "HTTP/1.1 200 OK\r\n" : string.Create(CultureInfo.InvariantCulture, $"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes {start}-{end}/{item.Size}\r\n");
        await SendAllAsync(Encoding.ASCII.GetBytes(string.Create(
            CultureInfo.InvariantCulture, $"{content}Content-Length: {end - start + 1}\r\nContent-Type: application/octet-stream\r\n{facts}\r\n")), stop);
        if (!isHead)
        {
            await SendBodyAsync(item, start, end, stop);
        }

        return true;
    }

    private async Task SendBodyAsync(DatasetObject item, long start, long end, CancellationToken stop)
    {
        if (_body.Length == 0)
        {
            _body = new byte[BodyBytes];
        }

        for (var offset = start; offset <= end;)
        {
            var length = (int)Math.Min(BodyBytes, end - offset + 1);
            item.Content.Fill(_body.AsSpan(0, length), offset);
            await SendAllAsync(_body.AsMemory(0, length), stop);
            offset += length;
        }
    }

    private Task SendAsync(string status, string headers, string? body, bool isHead, CancellationToken stop)
        => SendAllAsync(
            Encoding.ASCII.GetBytes(body is null
                ? $"HTTP/1.1 {status}\r\n{headers}\r\n"
                : $"HTTP/1.1 {status}\r\nContent-Length: {body.Length}\r\nContent-Type: application/xml\r\n{headers}\r\n{(isHead ? "" : body)}"), stop);

    private async Task SendAllAsync(ReadOnlyMemory<byte> bytes, CancellationToken stop)
    {
        while (bytes.Length > 0)
        {
            bytes = bytes[await socket.SendAsync(bytes, stop)..];
        }
    }

    private static string Error(string code) => $"<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><Code>{code}</Code></Error>";

    private static string? Header(string[] head, string name)
        => Array.Find(head, line => line.Length > name.Length && line[name.Length] == ':' && line.StartsWith(name, StringComparison.OrdinalIgnoreCase))?[(name.Length + 1)..].Trim();

    /// <summary>One range in any of its three forms (RFC 9110 §14.1.2).</summary>
    private static bool TryRead(string text, long size, out long start, out long end)
    {
        (start, end) = (0, size - 1);
        var bounds = text.StartsWith("bytes=", StringComparison.Ordinal) ? text[6..].Split('-') : [];
        if (bounds.Length != 2 || !IsNumber(bounds[0], out var first) || !IsNumber(bounds[1], out var last) || (first is null && last is null))
        {
            return false;
        }

        start = first ?? Math.Max(0, size - last!.Value);
        end = first is null ? end : Math.Min(end, last ?? end);
        return start <= end;
    }

    private static bool IsNumber(string text, out long? number)
    {
        number = long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var read) ? read : null;
        return text.Length == 0 || number is not null;
    }
}
