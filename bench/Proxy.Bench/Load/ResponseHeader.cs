using System.Buffers.Text;
using System.Text;
using Proxy.Bench.Http;

namespace Proxy.Bench.Load;

/// <summary>What a load needs of a response's head.</summary>
/// <param name="HeadBytes">With the empty line.</param>
/// <param name="ContentLength">-1 when the answer has none.</param>
/// <param name="IsClosing">The server closes the connection behind it.</param>
internal readonly record struct ResponseHeader(int HeadBytes, int Status, long ContentLength, CacheOutcome Outcome, bool IsClosing)
{
    /// <summary>Reads a head if it is all there.</summary>
    /// <exception cref="BrokenResponseException">It is not HTTP/1.1.</exception>
    public static bool TryParse(ReadOnlySpan<byte> bytes, out ResponseHeader header)
    {
        header = default;
        var end = bytes.IndexOf("\r\n\r\n"u8);
        if (end < 0)
        {
            return false;
        }

        if (!bytes.StartsWith("HTTP/1.1 "u8) || !Utf8Parser.TryParse(bytes.Slice(9, 3), out int status, out _))
        {
            throw new BrokenResponseException($"not an HTTP/1.1 status line: {Encoding.ASCII.GetString(bytes[..Math.Min(40, end)])}");
        }

        var (length, outcome, isClosing) = (-1L, CacheOutcome.None, false);
        for (var rest = bytes[..(end + 2)]; rest.Length > 0;)
        {
            var lineEnd = rest.IndexOf((byte)'\n');
            var line = rest[..lineEnd];
            rest = rest[(lineEnd + 1)..];
            // Three headers are looked for: their first letters spare a comparison for most of the others.
            if (line.Length > 15 && (line[0] | 0x20) == 'c' && Ascii.EqualsIgnoreCase(line[..15], "Content-Length:"u8))
            {
                _ = Utf8Parser.TryParse(line[15..].TrimStart((byte)' '), out length, out _);
            }
            else if (line.Length > 11 && (line[0] | 0x20) == 'c' && Ascii.EqualsIgnoreCase(line[..11], "Connection:"u8))
            {
                isClosing = Ascii.EqualsIgnoreCase(line[11..].Trim(" \r"u8), "close"u8);
            }
            else if (line.Length > 8 && (line[0] | 0x20) == 'x' && Ascii.EqualsIgnoreCase(line[..8], "X-Cache:"u8))
            {
                outcome = Known(line[8..].Trim(" \r"u8));
            }
        }

        header = new ResponseHeader(end + 4, status, length, outcome, isClosing);
        return true;
    }

    private static CacheOutcome Known(ReadOnlySpan<byte> value)
        => value.SequenceEqual("HIT-MEMORY"u8) ? CacheOutcome.Memory
            : value.SequenceEqual("HIT-NVME"u8) ? CacheOutcome.Nvme
            : value.SequenceEqual("MISS"u8) ? CacheOutcome.Miss
            : CacheOutcome.Other;
}

/// <summary>The X-Cache values that are counted apart.</summary>
internal enum CacheOutcome
{
    /// <summary>No such header: a peer.</summary>
    None,

    /// <summary>HIT-MEMORY.</summary>
    Memory,

    /// <summary>HIT-NVME.</summary>
    Nvme,

    /// <summary>MISS.</summary>
    Miss,

    /// <summary>PARTIAL, REVALIDATED, STALE, BYPASS.</summary>
    Other,
}
