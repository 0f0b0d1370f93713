using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;

namespace Proxy.Bench.Commands;

/// <summary>Sizes as people write them: 64KiB, 2GiB, 10MB, 512.</summary>
internal static class ByteSize
{
    private static readonly (string Suffix, double Bytes)[] Units =
    [
        ("KiB", 1L << 10), ("MiB", 1L << 20), ("GiB", 1L << 30), ("TiB", 1L << 40),
        ("kB", 1e3), ("KB", 1e3), ("MB", 1e6), ("GB", 1e9), ("TB", 1e12), ("B", 1),
    ];

    /// <param name="orNone">0 is one of them.</param>
    public static Option<long> Option(string name, string description, long byDefault, bool orNone = false)
    {
        return new Option<long>(name) { Description = description, DefaultValueFactory = _ => byDefault, CustomParser = result => Parse(name, result, orNone) };
    }

    /// <summary>One whose default is not known before the others are.</summary>
    /// <param name="description">It says the default.</param>
    public static Option<long?> OptionOrDefault(string name, string description) => new(name) { Description = description, CustomParser = result => Parse(name, result, orNone: false) };

    /// <summary>The shortest of its forms that is exact.</summary>
    public static string Format(long bytes) => bytes % (1L << 30) == 0 ? $"{bytes >> 30}GiB" : bytes % (1L << 20) == 0 ? $"{bytes >> 20}MiB" : $"{bytes}B";

    public static bool TryParse(string text, out long bytes)
    {
        var (number, unit) = (text.Trim(), 1.0);
        foreach (var (suffix, size) in Units)
        {
            if (number.EndsWith(suffix, StringComparison.Ordinal))
            {
                (number, unit) = (number[..^suffix.Length].TrimEnd(), size);
                break;
            }
        }

        var isNumber = double.TryParse(number, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var value);
        bytes = isNumber && value * unit < long.MaxValue ? (long)(value * unit) : 0;
        return bytes > 0;
    }

    private static long Parse(string name, ArgumentResult result, bool orNone)
    {
        var text = result.Tokens.Single().Value;
        if (!TryParse(text, out var bytes) && !(orNone && text == "0"))
        {
            result.AddError($"{name}: '{text}' is not a size; write it as 64MiB or 2GiB");
        }

        return bytes;
    }
}
