using System.Globalization;
using System.Net;
using System.Text;

namespace Proxy.Bench.Report;

/// <summary>One page of a report that needs nothing else: the command, the set-up and the machine at its head, plots inside it.</summary>
internal sealed class HtmlPage
{
    private const string Style = "body{font:14px sans-serif;max-width:1000px;margin:2em auto}td,th{padding:2px 10px;text-align:right}td:first-child,th:first-child{text-align:left}img{display:block;margin:1em 0}";

    private readonly StringBuilder _text = new();

    /// <param name="setup">How the endpoints were set up, in words.</param>
    public HtmlPage(string title, string command, IReadOnlyList<string> setup)
    {
        _text.Append("<!doctype html><meta charset=utf-8><title>").Append(title).Append("</title><style>").Append(Style).Append("</style>");
        _text.Append("<h1>").Append(title).Append("</h1><p><code>").Append(WebUtility.HtmlEncode(command)).Append("</code></p><ul>");
        foreach (var line in setup.Append(MachineFacts.Read().ToString()))
        {
            _text.Append("<li>").Append(WebUtility.HtmlEncode(line));
        }

        _text.Append("</ul>");
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

    public void Image(byte[] png) => _text.Append("<img src=\"data:image/png;base64,").Append(Convert.ToBase64String(png)).Append("\">");

    public Task SaveAsync(FileInfo file, CancellationToken cancellation) => File.WriteAllTextAsync(file.FullName, _text.ToString(), cancellation);
}
