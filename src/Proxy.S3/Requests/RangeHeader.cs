using Proxy.S3.Objects;

namespace Proxy.S3.Requests;

public enum RangeKind
{
    /// <summary>No header, or one that says nothing valid: the whole object (RFC 9110 §14.2; S3 does so too).</summary>
    None,

    /// <summary>One range.</summary>
    Single,

    /// <summary>Several ranges: not ours to answer.</summary>
    Multiple,
}

/// <summary>The Range header (RFC 9110 §14.1.2).</summary>
public static class RangeHeader
{
    /// <summary>Reads a header value without allocating.</summary>
    /// <param name="range">Set only for <see cref="RangeKind.Single"/>. Not yet compared with a size: see <see cref="ByteRange.TryResolve"/>.</param>
    public static RangeKind Parse(ReadOnlySpan<char> value, out ByteRange range)
    {
        range = default;
        value = value.Trim(" \t");
        if (!value.StartsWith("bytes=", StringComparison.OrdinalIgnoreCase))
        {
            return RangeKind.None;
        }

        var valid = 0;
        foreach (var part in value[6..].Split(','))
        {
            var one = value[6..][part].Trim(" \t");
            if (one.IsEmpty)
            {
                continue;
            }

            if (!TryParseOne(one, out var parsed))
            {
                range = default;
                return RangeKind.None;
            }

            range = parsed;
            valid++;
        }

        if (valid <= 1)
        {
            return valid == 1 ? RangeKind.Single : RangeKind.None;
        }

        range = default;
        return RangeKind.Multiple;
    }

    /// <summary>As <see cref="Parse"/>: true for exactly one valid range.</summary>
    public static bool TryParse(string? value, out ByteRange range) => Parse(value, out range) == RangeKind.Single;

    private static bool TryParseOne(ReadOnlySpan<char> text, out ByteRange range)
    {
        range = default;
        var dash = text.IndexOf('-');
        if (dash < 0)
        {
            return false;
        }

        var first = text[..dash];
        var last = text[(dash + 1)..];
        if (first.IsEmpty)
        {
            if (!TryParseNumber(last, out var suffix))
            {
                return false;
            }

            range = ByteRange.Suffix(suffix);
            return true;
        }

        if (!TryParseNumber(first, out var from))
        {
            return false;
        }

        if (last.IsEmpty)
        {
            range = ByteRange.From(from);
            return true;
        }

        if (!TryParseNumber(last, out var to) || to < from)
        {
            return false;
        }

        range = ByteRange.FromTo(from, to);
        return true;
    }

    // A number too big for a long lies past every object: the biggest long says the same.
    private static bool TryParseNumber(ReadOnlySpan<char> digits, out long number)
    {
        number = 0;
        foreach (var digit in digits)
        {
            if (!char.IsAsciiDigit(digit))
            {
                return false;
            }

            number = number > (long.MaxValue - 9) / 10 ? long.MaxValue : (number * 10) + (digit - '0');
        }

        return !digits.IsEmpty;
    }
}
