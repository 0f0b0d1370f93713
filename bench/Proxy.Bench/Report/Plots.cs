using ScottPlot;

namespace Proxy.Bench.Report;

/// <summary>One named line of a plot.</summary>
internal sealed record PlotSeries(string Name, double[] X, double[] Y);

/// <summary>The plots of the HTML reports, as PNG.</summary>
internal static class Plots
{
    private const int Width = 760;
    private const int Height = 360;

    /// <summary>Latencies against the share of requests that were faster; the latency axis is logarithmic.</summary>
    public static byte[] Latencies(string title, IEnumerable<PlotSeries> series)
        => Lines(title, "milliseconds (powers of ten)", "share of requests", series.Select(line => line with { X = [.. line.X.Select(x => Math.Log10(Math.Max(0.001, x)))] }));

    public static byte[] Lines(string title, string across, string up, IEnumerable<PlotSeries> series)
    {
        using var plot = new Plot();
        foreach (var line in series.Where(line => line.X.Length > 0))
        {
            plot.Add.Scatter(line.X, line.Y).LegendText = line.Name;
        }

        Finish(plot, title, across, up);
        return plot.GetImageBytes(Width, Height, ImageFormat.Png);
    }

    /// <summary>Bars by name, side by side.</summary>
    public static byte[] Bars(string title, string up, IReadOnlyList<(string Name, double Value)> bars)
    {
        using var plot = new Plot();
        for (var i = 0; i < bars.Count; i++)
        {
            plot.Add.Bar(i, bars[i].Value).LegendText = "";
        }

        plot.Axes.Bottom.SetTicks([.. Enumerable.Range(0, bars.Count).Select(index => (double)index)], [.. bars.Select(bar => bar.Name)]);
        Finish(plot, title, "", up);
        plot.Axes.Margins(bottom: 0);
        return plot.GetImageBytes(Width, Height, ImageFormat.Png);
    }

    private static void Finish(Plot plot, string title, string across, string up)
    {
        plot.Title(title);
        plot.XLabel(across);
        plot.YLabel(up);
        plot.ShowLegend(Alignment.LowerRight);
    }
}
