using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;
using System.Numerics;

namespace Proxy.Bench.Commands;

/// <summary>What an option's value has to be, told when the command line is read.</summary>
internal static class OptionRules
{
    public static Option<T> AtLeast<T>(this Option<T> option, T least)
        where T : INumber<T>
        => option.Must(value => value >= least, string.Create(CultureInfo.InvariantCulture, $"at least {least}"));

    public static Option<T?> AtLeast<T>(this Option<T?> option, T least)
        where T : struct, INumber<T>
        => option.Must(value => value is not { } number || number >= least, string.Create(CultureInfo.InvariantCulture, $"at least {least}"));

    public static Option<T> Above<T>(this Option<T> option, T bound)
        where T : INumber<T>
        => option.Must(value => value > bound, string.Create(CultureInfo.InvariantCulture, $"above {bound}"));

    public static Option<T?> Above<T>(this Option<T?> option, T bound)
        where T : struct, INumber<T>
        => option.Must(value => value is not { } number || number > bound, string.Create(CultureInfo.InvariantCulture, $"above {bound}"));

    /// <param name="what">Of the value, as it ends "--rounds must be …".</param>
    public static Option<T> Must<T>(this Option<T> option, Func<T, bool> holds, string what)
    {
        option.Validators.Add(result =>
        {
            try
            {
                if (!holds(result.GetValueOrDefault<T>()!))
                {
                    result.AddError($"{option.Name} must be {what}, not {Given(result)}");
                }
            }
            catch (InvalidOperationException)
            {
                // Not a value of that type at all: the parser says so itself.
            }
        });
        return option;
    }

    /// <summary>The words of a list written with commas; each must be one of <paramref name="known"/>, whatever its case.</summary>
    public static Option<string> ListOf(this Option<string> option, params string[] known)
    {
        option.Validators.Add(result =>
        {
            var words = Split(result.GetValueOrDefault<string>() ?? "");
            if (words.FirstOrDefault(word => !known.Contains(word, StringComparer.OrdinalIgnoreCase)) is { } strange)
            {
                result.AddError($"{option.Name}: '{strange}' is none of {string.Join(", ", known)}");
            }
            else if (words.Length == 0)
            {
                result.AddError($"{option.Name} wants some of {string.Join(", ", known)}");
            }
        });
        return option;
    }

    /// <summary>In lower case.</summary>
    public static IReadOnlyList<string> Words(string list) => Split(list.ToLowerInvariant());

    private static string[] Split(string list) => list.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);

    private static string Given(OptionResult result) => string.Join(' ', result.Tokens.Select(token => token.Value));
}
