using System.Globalization;
using Proxy.Server.Hosting;

namespace Proxy.Server.WebConsole;

/// <summary>Numbers as people read them.</summary>
internal static class Figures
{
    public static string Bytes(double bytes) => ByteSize.Format((long)bytes);

    public static string Rate(double bytesPerSecond) => ByteSize.Format((long)bytesPerSecond) + "/s";

    public static string Percent(double percent) => string.Create(CultureInfo.InvariantCulture, $"{(percent is > 99.9 and < 100 ? 99.9 : percent):0.#} %");

    public static string Count(double count) => count switch
    {
        >= 1e9 => string.Create(CultureInfo.InvariantCulture, $"{count / 1e9:0.##} G"),
        >= 1e6 => string.Create(CultureInfo.InvariantCulture, $"{count / 1e6:0.##} M"),
        >= 1e4 => string.Create(CultureInfo.InvariantCulture, $"{count / 1e3:0.#} k"),
        >= 100 => string.Create(CultureInfo.InvariantCulture, $"{count:0}"),
        _ => string.Create(CultureInfo.InvariantCulture, $"{count:0.#}"),
    };

    /// <summary>Small sums keep two digits that count: a proxy that has just started has saved some, not none.</summary>
    public static string Money(double dollars) => dollars switch
    {
        0 => "$0",
        < 0.000_01 => "< $0.00001",
        < 0.1 => "$" + dollars.ToString($"F{1 - (int)Math.Floor(Math.Log10(dollars))}", CultureInfo.InvariantCulture),
        < 10_000 => string.Create(CultureInfo.InvariantCulture, $"${dollars:0.00}"),
        _ => string.Create(CultureInfo.InvariantCulture, $"${dollars:#,0}"),
    };

    public static string Milliseconds(double milliseconds) => milliseconds switch
    {
        0 => "–",
        < 1 => string.Create(CultureInfo.InvariantCulture, $"{milliseconds * 1000:0} µs"),
        < 100 => string.Create(CultureInfo.InvariantCulture, $"{milliseconds:0.#} ms"),
        < 1000 => string.Create(CultureInfo.InvariantCulture, $"{milliseconds:0} ms"),
        _ => string.Create(CultureInfo.InvariantCulture, $"{milliseconds / 1000:0.##} s"),
    };

    /// <summary>The zone of whoever looks is not known here; how long ago is true everywhere.</summary>
    public static string Ago(DateTimeOffset? then, DateTimeOffset now) => (then is null ? null : now - then) switch
    {
        null => "–",
        { TotalSeconds: < 5 } => "now",
        { TotalSeconds: < 120 } past => $"{(int)past.TotalSeconds} s ago",
        { TotalMinutes: < 120 } past => $"{(int)past.TotalMinutes} min ago",
        { TotalHours: < 48 } past => $"{(int)past.TotalHours} h ago",
        { } past => $"{(int)past.TotalDays} days ago",
    };

    public static string Seconds(double seconds) => seconds < 120
        ? string.Create(CultureInfo.InvariantCulture, $"{seconds:0} s")
        : string.Create(CultureInfo.InvariantCulture, $"{seconds / 60:0.#} min");

    /// <summary>Labels of a chart's time axis.</summary>
    public static string AxisAgo(object seconds) => Math.Round(-Convert.ToDouble(seconds, CultureInfo.InvariantCulture)) switch
    {
        <= 0 => "now",
        var ago when ago % 60 == 0 => string.Create(CultureInfo.InvariantCulture, $"−{ago / 60:0} min"),
        var ago => string.Create(CultureInfo.InvariantCulture, $"−{ago:0} s"),
    };

    /// <summary>A span of charts, in words.</summary>
    public static string Span(int seconds) => seconds < 120 ? "last minute" : string.Create(CultureInfo.InvariantCulture, $"last {seconds / 60} minutes");

    /// <summary>Decimal units here: a chart's steps are round in them.</summary>
    public static string AxisRate(object bytesPerSecond) => Convert.ToDouble(bytesPerSecond, CultureInfo.InvariantCulture) switch
    {
        >= 1e9 and var rate => string.Create(CultureInfo.InvariantCulture, $"{rate / 1e9:0.#} GB/s"),
        >= 1e6 and var rate => string.Create(CultureInfo.InvariantCulture, $"{rate / 1e6:0.#} MB/s"),
        >= 1e3 and var rate => string.Create(CultureInfo.InvariantCulture, $"{rate / 1e3:0.#} kB/s"),
        var rate => string.Create(CultureInfo.InvariantCulture, $"{rate:0.#} B/s"),
    };

    public static string AxisPercent(object percent) => string.Create(CultureInfo.InvariantCulture, $"{Convert.ToDouble(percent, CultureInfo.InvariantCulture):0} %");

    public static string AxisMilliseconds(object milliseconds) => Milliseconds(Convert.ToDouble(milliseconds, CultureInfo.InvariantCulture)).Replace("–", "0", StringComparison.Ordinal);

    public static string AxisCount(object count) => Count(Convert.ToDouble(count, CultureInfo.InvariantCulture));
}
