using System.Globalization;

namespace Proxy.S3.Auth;

/// <summary>SigV4's timestamp: <c>20130524T000000Z</c>.</summary>
internal static class AmzDate
{
    public const int Length = 16;

    public static bool TryParse(ReadOnlySpan<char> text, out DateTimeOffset date)
    {
        date = default;
        if (text.Length != Length || text[8] != 'T' || text[15] != 'Z'
            || !AreDigits(text[..8]) || !AreDigits(text[9..15]))
        {
            return false;
        }

        // By hand: 8 ns against 150 ns for TryParseExact, on every request.
        var year = (Two(text, 0) * 100) + Two(text, 2);
        var (month, day, hour, minute, second) = (Two(text, 4), Two(text, 6), Two(text, 9), Two(text, 11), Two(text, 13));
        if (year < 1 || month is < 1 or > 12 || day < 1 || day > DateTime.DaysInMonth(year, month) || hour > 23 || minute > 59 || second > 59)
        {
            return false;
        }

        date = new DateTimeOffset(year, month, day, hour, minute, second, TimeSpan.Zero);
        return true;
    }

    public static bool AreDigits(ReadOnlySpan<char> text)
    {
        foreach (var c in text)
        {
            if (!char.IsAsciiDigit(c))
            {
                return false;
            }
        }

        return true;
    }

    public static string Format(DateTimeOffset date) => date.UtcDateTime.ToString("yyyyMMdd'T'HHmmss'Z'", CultureInfo.InvariantCulture);

    private static int Two(ReadOnlySpan<char> text, int at) => ((text[at] - '0') * 10) + (text[at + 1] - '0');
}
