using System.Globalization;
using System.Net;
using System.Text;

namespace Proxy.Bench.Report;

/// <summary>One page of a report that needs nothing else: the command, the set-up and the machine at its head, tables and plots inside it.</summary>
internal sealed class HtmlPage
{
    private const string Style = "body{font:14px sans-serif;max-width:1000px;margin:2em auto;padding:0 1em}table{border-collapse:collapse;margin:1em 0}td,th{padding:2px 10px;text-align:right;border-bottom:1px solid #ddd}td:first-child,th:first-child{text-align:left}img{display:block;margin:1em 0;max-width:100%}code{overflow-wrap:anywhere}";

    private readonly StringBuilder _text = new();
    private readonly List<(string Name, byte[] Png)> _images = [];

    /// <param name="setup">How the endpoints were set up, in words.</param>
    public HtmlPage(string title, string command, IReadOnlyList<string> setup)
    {
        _text.Append("<!doctype html><html lang=en><meta charset=utf-8><title>").Append(title).Append("</title><style>").Append(Style).Append("</style>");
        _text.Append("<h1>").Append(title).Append("</h1><p><code>").Append(WebUtility.HtmlEncode(command)).Append("</code></p><ul>");
        foreach (var line in setup.Append($"Machine: {MachineFacts.Read()}"))
        {
            _text.Append("<li>").Append(WebUtility.HtmlEncode(line));
        }

        _text.Append("</ul>\n");
    }

    /// <summary>Markup as it is, numbers in it as in English.</summary>
    public HtmlPage Markup(FormattableString markup)
    {
        _text.Append(markup.ToString(CultureInfo.InvariantCulture));
        return this;
    }

    public HtmlPage Text(string text)
    {
        _text.Append(WebUtility.HtmlEncode(text));
        return this;
    }

    public HtmlPage Heading(string text) => Markup($"<h2>").Text(text).Markup($"</h2>\n");

    public HtmlPage Paragraph(string text) => Markup($"<p>").Text(text).Markup($"</p>\n");

    /// <summary>The first column's cells are names, the others' figures.</summary>
    public HtmlPage Table(IReadOnlyList<string> titles, IEnumerable<IReadOnlyList<string>> rows)
    {
        Markup($"<table><tr>");
        foreach (var title in titles)
        {
            Markup($"<th>").Text(title);
        }

        foreach (var row in rows)
        {
            Markup($"<tr>");
            foreach (var cell in row)
            {
                Markup($"<td>").Text(cell);
            }
        }

        return Markup($"</table>\n");
    }

    /// <summary>Latencies by name: a table of p50, p99 and p99.9, and a plot where enough was measured.</summary>
    public HtmlPage Latencies(string title, IReadOnlyList<LatencyCurve> curves)
    {
        Markup($"<h3>").Text(title).Markup($"</h3>\n");
        Table(["", "measured", "p50 ms", "p99", "p99.9"], curves.Select(curve => (string[])
            [curve.Name, curve.Count.ToString("#,0", CultureInfo.InvariantCulture), .. ((double[])[50, 99, 99.9]).Select(percentile => Milliseconds(curve.MillisecondsAt(percentile)))]));
        if (Plots.Latencies(title, curves) is { } png)
        {
            Image(png, title);
        }

        return this;
    }

    /// <param name="name">What it shows; also what its file is called.</param>
    public HtmlPage Image(byte[] png, string name)
    {
        _images.Add((name, png));
        _text.Append("<img alt=\"").Append(WebUtility.HtmlEncode(name)).Append("\" src=\"data:image/png;base64,").Append(Convert.ToBase64String(png)).Append("\">\n");
        return this;
    }

    public Task SaveAsync(FileInfo file, CancellationToken cancellation) => File.WriteAllTextAsync(file.FullName, _text.ToString(), cancellation);

    /// <summary>Writes every plot of the page as a file of its own.</summary>
    public async Task SaveImagesAsync(DirectoryInfo folder, CancellationToken cancellation)
    {
        folder.Create();
        foreach (var (name, png) in _images)
        {
            await File.WriteAllBytesAsync(Path.Combine(folder.FullName, FileName(name) + ".png"), png, cancellation);
        }
    }

    private static string Milliseconds(double value) => value.ToString(value < 10 ? "0.000" : "0.0", CultureInfo.InvariantCulture);

    private static string FileName(string name)
        => string.Join('-', new string([.. name.ToLowerInvariant().Select(letter => char.IsAsciiLetterOrDigit(letter) ? letter : ' ')]).Split(' ', StringSplitOptions.RemoveEmptyEntries));
}
