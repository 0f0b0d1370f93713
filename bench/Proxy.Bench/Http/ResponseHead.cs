using System.Globalization;
using System.Text;

namespace Proxy.Bench.Http;

/// <summary>Status and headers of one response: the bytes as they came, with what every response is asked for already found in them.</summary>
/// <remarks>Immutable; outlives the connection's buffer.</remarks>
internal sealed class ResponseHead
{
    private static readonly string[] KnownOutcomes = ["HIT-MEMORY", "HIT-NVME", "MISS", "PARTIAL", "REVALIDATED", "BYPASS", "STALE", "HIT"];

    private readonly byte[] _lines;

    private ResponseHead(int status, byte[] lines)
    {
        Status = status;
        _lines = lines;
    }

    public int Status { get; }

    /// <summary>Null when there is none or it is not a number.</summary>
    public long? ContentLength { get; private set; }

    /// <summary>The value of X-Cache; null for a server that sends none.</summary>
    public string? CacheOutcome { get; private set; }

    public bool IsChunked { get; private set; }

    public bool IsClosing { get; private set; }

    /// <summary>Null when the header is not there.</summary>
    public string? this[string name]
    {
        get
        {
            foreach (var line in new HeadLines(_lines))
            {
                if (line.Name.Length == name.Length && Ascii.EqualsIgnoreCase(line.Name, name))
                {
                    return Encoding.UTF8.GetString(line.Value);
                }
            }

            return null;
        }
    }

    /// <param name="bytes">Up to the empty line, without it.</param>
    /// <exception cref="BrokenResponseException">It does not begin with an HTTP/1.x status line.</exception>
    public static ResponseHead Parse(ReadOnlySpan<byte> bytes)
    {
        // HTTP/1.1 200 OK
        var end = bytes.IndexOf("\r\n"u8);
        var first = end < 0 ? bytes : bytes[..end];
        if (first.Length < 12 || !first.StartsWith("HTTP/1."u8) || first[8] != ' ' || (first.Length > 12 && first[12] != ' ')
            || !int.TryParse(first[9..12], NumberStyles.None, CultureInfo.InvariantCulture, out var status))
        {
            throw new BrokenResponseException($"not an HTTP status line: {Encoding.ASCII.GetString(first)}");
        }

        var head = new ResponseHead(status, end < 0 ? [] : bytes[(end + 2)..].ToArray());
        foreach (var line in new HeadLines(head._lines))
        {
            head.Note(line);
        }

        return head;
    }

    private void Note(HeadLine line)
    {
        switch (line.Name.Length)
        {
            case 7 when Ascii.EqualsIgnoreCase(line.Name, "X-Cache"u8):
                CacheOutcome = Outcome(line.Value);
                break;
            case 10 when Ascii.EqualsIgnoreCase(line.Name, "Connection"u8):
                IsClosing = Ascii.EqualsIgnoreCase(line.Value, "close"u8);
                break;
            case 14 when Ascii.EqualsIgnoreCase(line.Name, "Content-Length"u8):
                ContentLength = long.TryParse(line.Value, NumberStyles.None, CultureInfo.InvariantCulture, out var length) ? length : null;
                break;
            case 17 when Ascii.EqualsIgnoreCase(line.Name, "Transfer-Encoding"u8):
                IsChunked = Ascii.EqualsIgnoreCase(line.Value, "chunked"u8);
                break;
        }
    }

    private static string Outcome(ReadOnlySpan<byte> value)
    {
        foreach (var known in KnownOutcomes)
        {
            if (Ascii.Equals(value, known))
            {
                return known;
            }
        }

        return Encoding.ASCII.GetString(value);
    }
}

/// <summary>One header line, its value without blanks around it.</summary>
internal readonly ref struct HeadLine(ReadOnlySpan<byte> name, ReadOnlySpan<byte> value)
{
    public ReadOnlySpan<byte> Name { get; } = name;

    public ReadOnlySpan<byte> Value { get; } = value;
}

/// <summary>The header lines of a message, one after another; lines without a colon are passed over.</summary>
internal ref struct HeadLines(ReadOnlySpan<byte> rest)
{
    private ReadOnlySpan<byte> _rest = rest;

    public HeadLine Current { get; private set; }

    public readonly HeadLines GetEnumerator() => this;

    public bool MoveNext()
    {
        while (!_rest.IsEmpty)
        {
            var end = _rest.IndexOf("\r\n"u8);
            var line = end < 0 ? _rest : _rest[..end];
            _rest = end < 0 ? [] : _rest[(end + 2)..];
            var colon = line.IndexOf((byte)':');
            if (colon > 0)
            {
                Current = new HeadLine(line[..colon], line[(colon + 1)..].Trim(" \t"u8));
                return true;
            }
        }

        return false;
    }
}
