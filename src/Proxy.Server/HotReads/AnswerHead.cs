using System.Buffers.Text;
using System.Text;
using Proxy.Cache;
using Proxy.S3.Objects;
using Proxy.Server.Requests;
using Proxy.Server.Telemetry;

namespace Proxy.Server.HotReads;

/// <summary>The head of the answer to a read, as bytes: what <see cref="ObjectResponse.WriteHead"/> and Kestrel make of one, header for header.</summary>
internal ref struct AnswerHead
{
    private readonly Span<byte> _into;
    private int _at;

    private AnswerHead(Span<byte> into) => _into = into;

    /// <summary>The status line, the empty line and every header but those of <see cref="ObjectInfo.Headers"/>, with room to spare.</summary>
    private const int FixedBytes = 512;

    /// <summary>More than <see cref="Write"/> can need.</summary>
    public static int MaxBytes(ObjectInfo info)
    {
        var most = FixedBytes + (3 * (info.ETag.Length + (info.ContentType?.Length ?? 0)));
        return most + MaxBytes(info.Headers) + MaxBytes(info.ChecksumHeaders);
    }

    /// <returns>Bytes written.</returns>
    /// <exception cref="InvalidOperationException">A header holds a line break or the like, which no way in takes: sent, it would begin another header.</exception>
    public static int Write(Span<byte> into, ObjectRead read, bool isPartial, bool withChecksums, string requestId)
    {
        var (info, span) = (read.Info, read.Span);
        var head = new AnswerHead(into);
        head.Raw(isPartial ? "HTTP/1.1 206 Partial Content\r\nContent-Length: "u8 : "HTTP/1.1 200 OK\r\nContent-Length: "u8);
        head.Number(span.Length);
        head.Raw("\r\nContent-Type: "u8);
        head.Text(info.ContentType ?? ObjectResponse.DefaultContentType);
        head.Raw("\r\nDate: "u8);
        head.Raw(DateNow.Bytes);
        head.Raw("\r\nAccept-Ranges: bytes"u8);
        if (isPartial)
        {
            head.Raw("\r\nContent-Range: bytes "u8);
            head.Number(span.Offset);
            head.Raw("-"u8);
            head.Number(span.End - 1);
            head.Raw("/"u8);
            head.Number(info.Size);
        }

        head.Raw("\r\nETag: "u8);
        head.Text(info.ETag);
        head.Raw("\r\nLast-Modified: "u8);
        head.Text(info.LastModifiedHeader);
        head.Raw("\r\nX-Cache: "u8);
        head.Text(XCache.Of(read.Outcome));
        head.Raw("\r\nx-amz-request-id: "u8);
        head.Text(requestId);
        head.Lines(info.Headers);
        if (withChecksums)
        {
            head.Lines(info.ChecksumHeaders);
        }

        head.Raw("\r\n\r\n"u8);
        return head._at;
    }

    private static int MaxBytes(IReadOnlyList<KeyValuePair<string, string>> headers)
    {
        var most = 0;
        for (var i = 0; i < headers.Count; i++)
        {
            most += (3 * (headers[i].Key.Length + headers[i].Value.Length)) + 4;
        }

        return most;
    }

    private void Lines(IReadOnlyList<KeyValuePair<string, string>> headers)
    {
        for (var i = 0; i < headers.Count; i++)
        {
            Raw("\r\n"u8);
            Text(headers[i].Key);
            Raw(": "u8);
            Text(headers[i].Value);
        }
    }

    private void Raw(ReadOnlySpan<byte> bytes)
    {
        bytes.CopyTo(_into[_at..]);
        _at += bytes.Length;
    }

    private void Number(long number)
    {
        Utf8Formatter.TryFormat(number, _into[_at..], out var length);
        _at += length;
    }

    private void Text(string text)
    {
        var length = Encoding.UTF8.GetBytes(text, _into[_at..]);
        if (!FieldValue.IsValid(_into.Slice(_at, length)))
        {
            throw new InvalidOperationException("A control character in a header.");
        }

        _at += length;
    }

    /// <summary>The Date header's value, made again every half second.</summary>
    private static class DateNow
    {
        private static Made _made = new([], 0);

        public static ReadOnlySpan<byte> Bytes
        {
            get
            {
                var made = Volatile.Read(ref _made);
                var now = Environment.TickCount64;
                if (now >= made.Until)
                {
                    made = new Made(Encoding.ASCII.GetBytes(TimeProvider.System.GetUtcNow().ToString("R")), now + 500);
                    Volatile.Write(ref _made, made);
                }

                return made.Text;
            }
        }

        private sealed record Made(byte[] Text, long Until);
    }
}
