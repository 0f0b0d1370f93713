using System.Globalization;
using System.Text;
using Proxy.Bench.Http;

namespace Proxy.Bench.Shape;

/// <summary>What has to be known of a message's head to find the end of its body, and where the head lies.</summary>
/// <param name="Bytes">The head as it came, with its empty line; lies in the <see cref="HttpPipe"/>'s buffer until more is read.</param>
internal readonly record struct HttpHead(ReadOnlyMemory<byte> Bytes)
{
    /// <summary>The first line, as <c>GET /bucket/key HTTP/1.1</c>.</summary>
    public string Line => Encoding.ASCII.GetString(Bytes.Span[..Bytes.Span.IndexOf("\r\n"u8)]);

    public bool IsHead { get; private init; }

    /// <summary>0 for a request.</summary>
    public int Status { get; private init; }

    public long ContentLength { get; private init; }

    public bool IsChunked { get; private init; }

    public bool ExpectsContinue { get; private init; }

    public bool IsClosing { get; private init; }

    public bool IsSigned { get; private init; }

    public static HttpHead Parse(ReadOnlyMemory<byte> bytes)
    {
        var text = bytes.Span;
        var lineEnd = text.IndexOf("\r\n"u8);
        var first = text[..lineEnd];
        var head = new HttpHead(bytes)
        {
            IsHead = first.StartsWith("HEAD "u8),
            Status = first.StartsWith("HTTP/"u8) ? int.Parse(first.Slice(9, 3), CultureInfo.InvariantCulture) : 0,
        };
        foreach (var line in new HeadLines(text[(lineEnd + 2)..]))
        {
            head = head.With(line);
        }

        return head;
    }

    private HttpHead With(HeadLine line) => line.Name.Length switch
    {
        6 when Ascii.EqualsIgnoreCase(line.Name, "Expect"u8) => this with { ExpectsContinue = true },
        10 when Ascii.EqualsIgnoreCase(line.Name, "Connection"u8) => this with { IsClosing = Ascii.EqualsIgnoreCase(line.Value, "close"u8) },
        13 when Ascii.EqualsIgnoreCase(line.Name, "Authorization"u8) => this with { IsSigned = true },
        14 when Ascii.EqualsIgnoreCase(line.Name, "Content-Length"u8) => this with { ContentLength = long.Parse(line.Value, CultureInfo.InvariantCulture) },
        17 when Ascii.EqualsIgnoreCase(line.Name, "Transfer-Encoding"u8) => this with { IsChunked = Encoding.ASCII.GetString(line.Value).Contains("chunked", StringComparison.OrdinalIgnoreCase) },
        _ => this,
    };
}
