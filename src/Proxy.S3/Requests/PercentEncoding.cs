using System.Buffers;
using System.Text;
using System.Text.Unicode;

namespace Proxy.S3.Requests;

/// <summary>Percent-decoding and -encoding, exact to the byte (RFC 3986 §2.1).</summary>
internal static class PercentEncoding
{
    /// <summary>RFC 3986 §2.3: what SigV4 leaves as it is.</summary>
    public static readonly SearchValues<byte> Unreserved =
        SearchValues.Create("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"u8);

    /// <summary>The same and the slash: what a canonical path leaves as it is.</summary>
    public static readonly SearchValues<char> PlainPath =
        SearchValues.Create("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~/");

    /// <summary>Decodes to bytes.</summary>
    /// <param name="plusIsSpace">True in a query, false in a path.</param>
    /// <param name="destination">At least three bytes for each character.</param>
    /// <returns>False for a <c>%</c> without two hex digits and for broken UTF-16.</returns>
    public static bool TryDecode(ReadOnlySpan<char> encoded, bool plusIsSpace, Span<byte> destination, out int written)
    {
        written = 0;
        while (!encoded.IsEmpty)
        {
            var plain = plusIsSpace ? encoded.IndexOfAny('%', '+') : encoded.IndexOf('%');
            if (plain != 0)
            {
                var run = plain < 0 ? encoded : encoded[..plain];
                if (Utf8.FromUtf16(run, destination[written..], out _, out var bytes, replaceInvalidSequences: false) != OperationStatus.Done)
                {
                    return false;
                }

                written += bytes;
                encoded = encoded[run.Length..];
                continue;
            }

            if (encoded[0] == '+')
            {
                destination[written++] = (byte)' ';
                encoded = encoded[1..];
                continue;
            }

            if (encoded.Length < 3 || !char.IsAsciiHexDigit(encoded[1]) || !char.IsAsciiHexDigit(encoded[2]))
            {
                return false;
            }

            destination[written++] = (byte)((HexValue(encoded[1]) << 4) | HexValue(encoded[2]));
            encoded = encoded[3..];
        }

        return true;
    }

    /// <summary>Decodes to a string; null when the escapes or the UTF-8 they make are not valid.</summary>
    public static string? Decode(ReadOnlySpan<char> encoded, bool plusIsSpace)
    {
        if (encoded.IsEmpty)
        {
            return "";
        }

        if (!encoded.Contains('%') && !(plusIsSpace && encoded.Contains('+')))
        {
            return IsWellFormed(encoded) ? encoded.ToString() : null;
        }

        var rented = ArrayPool<byte>.Shared.Rent(encoded.Length * 3);
        try
        {
            if (!TryDecode(encoded, plusIsSpace, rented, out var written) || !Utf8.IsValid(rented.AsSpan(0, written)))
            {
                return null;
            }

            return Encoding.UTF8.GetString(rented, 0, written);
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(rented);
        }
    }

    /// <summary>Encodes bytes the way SigV4 does: upper-case hex, everything but unreserved, and but the slash where <paramref name="keepSlash"/>.</summary>
    /// <param name="destination">At least three bytes for each byte.</param>
    public static int Encode(ReadOnlySpan<byte> bytes, bool keepSlash, Span<byte> destination)
    {
        var written = 0;
        foreach (var b in bytes)
        {
            if (Unreserved.Contains(b) || (keepSlash && b == '/'))
            {
                destination[written++] = b;
            }
            else
            {
                destination[written] = (byte)'%';
                destination[written + 1] = "0123456789ABCDEF"u8[b >> 4];
                destination[written + 2] = "0123456789ABCDEF"u8[b & 15];
                written += 3;
            }
        }

        return written;
    }

    public static bool IsWellFormed(ReadOnlySpan<char> text)
    {
        if (Ascii.IsValid(text))
        {
            return true;
        }

        while (!text.IsEmpty)
        {
            if (Rune.DecodeFromUtf16(text, out _, out var consumed) != OperationStatus.Done)
            {
                return false;
            }

            text = text[consumed..];
        }

        return true;
    }

    private static int HexValue(char digit) => digit <= '9' ? digit - '0' : (digit | 0x20) - 'a' + 10;
}
