using System.Text;

namespace Proxy.Server.HotReads;

/// <summary>Where a request ends that Kestrel answers, so that the one behind it is looked at again.</summary>
internal static class RequestExtent
{
    /// <summary>Its head is not complete.</summary>
    public const long NotYetKnown = -1;

    /// <summary>Not to be told for certain: whatever follows on the connection is Kestrel's.</summary>
    public const long Unbounded = long.MaxValue;

    private const int LongestHead = 128 << 10;

    /// <summary>Kestrel passes over line ends before a request; with them none has begun yet.</summary>
    public static bool BeginsWithLineEnd(ReadOnlySpan<byte> bytes) => bytes is [(byte)'\r' or (byte)'\n', ..];

    /// <summary>Bytes of head and body, by a Content-Length or by none.</summary>
    public static long Of(ReadOnlySpan<byte> bytes)
    {
        if (BeginsWithLineEnd(bytes))
        {
            return Unbounded;
        }

        var end = bytes.IndexOf("\r\n\r\n"u8);
        if (end < 0)
        {
            return bytes.Length > LongestHead ? Unbounded : NotYetKnown;
        }

        var head = bytes[..end];
        var body = -1L;
        var isRequestLine = true;
        foreach (var range in head.Split("\r\n"u8))
        {
            var line = head[range];

            // A line end that is none, a line that goes on: readers differ in what they take them for.
            if (line.IsEmpty || line.IndexOfAny((byte)'\r', (byte)'\n') >= 0 || line[0] is (byte)' ' or (byte)'\t')
            {
                return Unbounded;
            }

            if (!isRequestLine)
            {
                var colon = line.IndexOf((byte)':');
                var name = colon < 0 ? default : line[..colon];
                if (colon <= 0 || name.ContainsAny((byte)' ', (byte)'\t') || Ascii.EqualsIgnoreCase(name, "transfer-encoding"u8) || Ascii.EqualsIgnoreCase(name, "upgrade"u8))
                {
                    return Unbounded;
                }

                if (Ascii.EqualsIgnoreCase(name, "content-length"u8))
                {
                    var digits = line[(colon + 1)..].Trim((byte)' ');
                    if (body >= 0 || digits.Length is 0 or > 18 || digits.ContainsAnyExceptInRange((byte)'0', (byte)'9'))
                    {
                        return Unbounded;
                    }

                    body = long.Parse(digits, System.Globalization.CultureInfo.InvariantCulture);
                }
            }

            isRequestLine = false;
        }

        return end + 4 + Math.Max(body, 0);
    }
}
