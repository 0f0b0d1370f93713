using System.Globalization;
using ScottPlot;
using ScottPlot.TickGenerators;
using SkiaSharp;

namespace Proxy.Bench.Report;

/// <summary>One named line of a plot.</summary>
internal sealed record PlotSeries(string Name, double[] X, double[] Y);

/// <summary>One name's latencies.</summary>
/// <param name="Count">How many were measured; a plot of a handful says nothing and is not drawn.</param>
/// <param name="MillisecondsAt">By percentile, 0 to 100.</param>
internal sealed record LatencyCurve(string Name, long Count, Func<double, double> MillisecondsAt);

/// <summary>The bars of one name, one for each group; NaN where a group has none.</summary>
internal sealed record BarSeries(string Name, double[] Values);

/// <summary>The plots of the reports, as PNG.</summary>
internal static class Plots
{
    /// <summary>Fewer measurements than this make no curve.</summary>
    public const int LeastCount = 20;

    private const int Width = 900;
    private const int Height = 400;

    /// <summary>Nines drawn at most: p99.99.</summary>
    private const double MostNines = 4;

    private const double NinesStep = 0.02;

    // Named in order of preference; ScottPlot's own guess is a serif where Arial is missing.
    private static readonly string Font = Array.Find(["Inter", "Liberation Sans", "DejaVu Sans", "Arial", "Noto Sans"], name => SKFontManager.Default.FontFamilies.Contains(name)) ?? Fonts.Default;

    /// <summary>Percentile up, so that each further nine takes as much room as the one before; milliseconds across, logarithmic.</summary>
    /// <returns>Null when no curve has enough measurements.</returns>
    public static byte[]? Latencies(string title, IEnumerable<LatencyCurve> curves)
    {
        var drawn = curves.Where(curve => curve.Count >= LeastCount).ToList();
        if (drawn.Count == 0)
        {
            return null;
        }

        using var plot = new Plot();
        var (lowest, highest, mostNines) = (double.MaxValue, 0.0, 0.0);
        foreach (var curve in drawn)
        {
            // As far as there are measurements: the slowest of a thousand is their p99.9.
            var nines = Math.Min(MostNines, Math.Log10(curve.Count));
            double[] up = [.. Enumerable.Range(0, (int)(nines / NinesStep) + 1).Select(step => step * NinesStep)];
            double[] milliseconds = [.. up.Select(at => Math.Max(0.001, curve.MillisecondsAt(100 * (1 - Math.Pow(10, -at)))))];
            Add(plot, curve.Name, [.. milliseconds.Select(Math.Log10)], up);
            (lowest, highest, mostNines) = (Math.Min(lowest, milliseconds[0]), Math.Max(highest, milliseconds[^1]), Math.Max(mostNines, nines));
        }

        plot.Axes.Bottom.TickGenerator = new NumericManual(LogTicks.Between(ref lowest, ref highest));
        plot.Axes.Left.TickGenerator = new NumericManual(
            [0, -Math.Log10(0.5), 1, 2, 3, 4], ["fastest", "p50", "p90", "p99", "p99.9", "p99.99"]);
        plot.Axes.SetLimits(Math.Log10(lowest), Math.Log10(highest), 0, Math.Max(1.1, mostNines + 0.05));
        return Finish(plot, title, "milliseconds", "percentile of requests");
    }

    /// <param name="top">Of the axis; null leaves room above the highest value.</param>
    public static byte[] Lines(string title, string across, string up, IEnumerable<PlotSeries> series, double? top = null)
    {
        using var plot = new Plot();
        var (last, highest) = (0.0, 0.0);
        foreach (var line in series.Where(line => line.X.Length > 0))
        {
            Add(plot, line.Name, line.X, line.Y);
            (last, highest) = (Math.Max(last, line.X.Max()), Math.Max(highest, line.Y.Max()));
        }

        // From zero: a small wave must not look like a fall.
        plot.Axes.SetLimitsX(0, last > 0 ? last * 1.02 : 1);
        plot.Axes.SetLimitsY(0, top * 1.03 ?? RoomAbove(highest));
        return Finish(plot, title, across, up);
    }

    /// <summary>For each group the bars of all names, side by side, each with its value.</summary>
    public static byte[] Bars(string title, string across, string up, IReadOnlyList<string> groups, IReadOnlyList<BarSeries> series)
    {
        using var plot = new Plot();
        var step = series.Count + 1.0;
        foreach (var (name, index) in series.Select((name, index) => (name, index)))
        {
            var bars = name.Values.Select((value, group) => new Bar { Position = (group * step) + index, Value = value, Label = Number(value), Size = 0.95, LineWidth = 0 })
                .Where(bar => !double.IsNaN(bar.Value)).ToList();
            var added = plot.Add.Bars(bars);
            added.Color = plot.Add.Palette.GetColor(index);
            added.LegendText = name.Name;
            added.ValueLabelStyle.FontSize = 11;
        }

        plot.Axes.Bottom.TickGenerator = new NumericManual(
            [.. groups.Select((_, group) => (group * step) + ((series.Count - 1) / 2.0))], [.. groups]);
        plot.Axes.Bottom.MajorTickStyle.Length = 2;
        plot.Axes.SetLimitsY(0, RoomAbove(series.SelectMany(one => one.Values).Where(value => !double.IsNaN(value)).DefaultIfEmpty(1).Max()));
        plot.Axes.SetLimitsX(-1, groups.Count * step - 1);
        return Finish(plot, title, across, up);
    }

    private static double RoomAbove(double highest) => highest > 0 ? highest * 1.12 : 1;

    private static void Add(Plot plot, string name, double[] x, double[] y)
    {
        var line = plot.Add.ScatterLine(x, y);
        line.LegendText = name;
        line.LineWidth = 2;
    }

    private static byte[] Finish(Plot plot, string title, string across, string up)
    {
        plot.Font.Set(Font);
        plot.Title(title, size: 16);
        plot.XLabel(across, size: 13);
        plot.YLabel(up, size: 13);
        plot.Legend.FontSize = 13;
        plot.ShowLegend(Edge.Right);    // beside the data, never over it
        return plot.GetImageBytes(Width, Height, ImageFormat.Png);
    }

    private static string Number(double value)
        => value.ToString(Math.Abs(value) switch { >= 100 => "#,0", >= 1 => "0.#", _ => "0.##" }, CultureInfo.InvariantCulture);
}
