using System.Globalization;
using ScottPlot;

namespace Proxy.Bench.Report;

/// <summary>Ticks of a logarithmic axis, labelled with the values themselves and not with their exponents.</summary>
internal static class LogTicks
{
    private static readonly double[] Every = [1, 1.5, 2, 3, 4, 5, 6, 7, 8, 9];
    private static readonly double[] Few = [1, 2, 5];
    private static readonly double[] Decades = [1];

    /// <param name="lowest">Over 0; lowered to a tick.</param>
    /// <param name="highest">Raised to a tick.</param>
    /// <returns>Ticks at the values' logarithms: labelled ones as many as are readable, small ones between.</returns>
    public static Tick[] Between(ref double lowest, ref double highest)
    {
        var decades = Math.Log10(highest / lowest);
        var labelled = decades switch { < 0.9 => Every, < 3.3 => Few, _ => Decades };
        lowest = Steps(lowest / 10, lowest * 1.0001, labelled).Last();
        highest = Steps(highest * 0.9999, highest * 10.01, labelled).First();
        var all = Steps(lowest * 0.9999, highest * 1.0001, labelled).Select(value => new Tick(Math.Log10(value), Label(value), isMajor: true));
        var small = Steps(lowest * 0.9999, highest * 1.0001, Every).Select(value => new Tick(Math.Log10(value), "", isMajor: false));
        return [.. small, .. all];
    }

    private static IEnumerable<double> Steps(double least, double most, double[] mantissas)
        => Enumerable.Range((int)Math.Floor(Math.Log10(least)), (int)Math.Ceiling(Math.Log10(most / least)) + 2)
            .SelectMany(exponent => mantissas.Select(mantissa => mantissa * Math.Pow(10, exponent)))
            .Where(value => value >= least && value <= most);

    private static string Label(double value) => value.ToString(value < 1000 ? "0.######" : "#,0", CultureInfo.InvariantCulture);
}
