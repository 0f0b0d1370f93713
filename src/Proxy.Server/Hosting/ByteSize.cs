using System.Globalization;

namespace Proxy.Server.Hosting;

/// <summary>Reads sizes as people write them: <c>4096</c>, <c>64KiB</c>, <c>1.5GiB</c>, <c>50GB</c>; and writes them back for people.</summary>
internal static class ByteSize
{
    private static readonly (string Suffix, double Factor)[] Units =
    [
        ("KiB", 1L << 10), ("MiB", 1L << 20), ("GiB", 1L << 30), ("TiB", 1L << 40), ("PiB", 1L << 50),
        ("KB", 1e3), ("MB", 1e6), ("GB", 1e9), ("TB", 1e12), ("PB", 1e15),
        ("K", 1L << 10), ("M", 1L << 20), ("G", 1L << 30), ("T", 1L << 40), ("B", 1),
    ];

    /// <summary>Bytes, not negative. Case of the unit does not matter; K, M, G, T alone are binary, as in most servers' flags.</summary>
    public static bool TryParse(string text, out long bytes)
    {
        var number = text.AsSpan().Trim();
        double factor = 1;
        foreach (var (suffix, unit) in Units)
        {
            if (number.EndsWith(suffix, StringComparison.OrdinalIgnoreCase))
            {
                number = number[..^suffix.Length].TrimEnd();
                factor = unit;
                break;
            }
        }

        bytes = 0;
        if (!double.TryParse(number, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var value) || value * factor > long.MaxValue / 2)
        {
            return false;
        }

        bytes = (long)(value * factor);
        return true;
    }

    /// <summary>Binary units with at most one decimal: <c>1.5 GiB</c>.</summary>
    public static string Format(long bytes)
    {
        string[] names = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
        double value = bytes;
        var unit = 0;
        while (value >= 1024 && unit < names.Length - 1)
        {
            value /= 1024;
            unit++;
        }

        return string.Create(CultureInfo.InvariantCulture, $"{value:0.#} {names[unit]}");
    }
}
