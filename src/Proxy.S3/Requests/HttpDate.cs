using System.Globalization;

namespace Proxy.S3.Requests;

/// <summary>Dates in headers (RFC 9110 §5.6.7) and in S3's XML.</summary>
public static class HttpDate
{
    /// <summary>Characters, and bytes, of <c>Sun, 06 Nov 1994 08:49:37 GMT</c>.</summary>
    public const int Length = 29;

    /// <summary>Characters of <c>1994-11-06T08:49:37.000Z</c>.</summary>
    public const int Iso8601Length = 24;

    private static readonly string[] Formats = ["r", "dddd, dd-MMM-yy HH:mm:ss 'GMT'", "ddd MMM d HH:mm:ss yyyy", "ddd MMM dd HH:mm:ss yyyy", "ddd, d MMM yyyy HH:mm:ss 'GMT'"];

    /// <summary>IMF-fixdate and the two obsolete forms. Also ISO 8601, which some S3 clients send.</summary>
    public static bool TryParse(ReadOnlySpan<char> text, out DateTimeOffset date)
    {
        text = text.Trim();
        const DateTimeStyles Utc = DateTimeStyles.AssumeUniversal | DateTimeStyles.AdjustToUniversal | DateTimeStyles.AllowInnerWhite;
        if (DateTimeOffset.TryParseExact(text, "r", CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out date))
        {
            return true;
        }

        return text.Length is >= 20 and <= 40
            && (DateTimeOffset.TryParseExact(text, Formats, CultureInfo.InvariantCulture, Utc, out date)
                || (text[^1] == 'Z' && DateTimeOffset.TryParse(text, CultureInfo.InvariantCulture, Utc, out date)));
    }

    /// <summary>IMF-fixdate, for Last-Modified and Date.</summary>
    public static string Format(DateTimeOffset date) => date.ToUniversalTime().ToString("r", CultureInfo.InvariantCulture);

    /// <summary>IMF-fixdate into at least <see cref="Length"/> characters.</summary>
    public static bool TryFormat(DateTimeOffset date, Span<char> destination) => date.TryFormat(destination, out _, "r", CultureInfo.InvariantCulture);

    /// <summary>IMF-fixdate into at least <see cref="Length"/> bytes of ASCII.</summary>
    public static bool TryFormat(DateTimeOffset date, Span<byte> destination) => date.TryFormat(destination, out _, "r", CultureInfo.InvariantCulture);

    /// <summary>With milliseconds, as S3 writes dates in XML, into at least <see cref="Iso8601Length"/> bytes of ASCII.</summary>
    public static bool TryFormatIso8601(DateTimeOffset date, Span<byte> destination)
        => date.UtcDateTime.TryFormat(destination, out _, "yyyy-MM-ddTHH:mm:ss.fffZ", CultureInfo.InvariantCulture);
}
