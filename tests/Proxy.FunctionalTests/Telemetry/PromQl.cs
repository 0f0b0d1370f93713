using System.Text.Json;
using System.Text.RegularExpressions;

namespace Proxy.FunctionalTests.Telemetry;

/// <summary>The PromQL expressions of config/, and the metric names in them.</summary>
internal static partial class PromQl
{
    private static readonly HashSet<string> Keywords = new(StringComparer.Ordinal)
    {
        "by", "without", "on", "ignoring", "group_left", "group_right", "and", "or", "unless", "offset", "bool", "inf", "nan",
    };

    public static string DashboardFile(string repository) => Path.Combine(repository, "config", "grafana", "dashboards", "s3-proxy.json");

    /// <summary>Every panel's queries. A panel that is no row and asks for nothing fails here, so that none is overlooked.</summary>
    public static IReadOnlyList<DashboardQuery> Dashboard(string repository)
    {
        using var dashboard = JsonDocument.Parse(File.ReadAllText(DashboardFile(repository)));
        return [.. Panels(dashboard.RootElement).Where(panel => panel.GetProperty("type").GetString() != "row").SelectMany(panel =>
        {
            var title = panel.GetProperty("title").GetString()!;
            Assert.True(panel.TryGetProperty("targets", out var targets) && targets.GetArrayLength() > 0, $"{title} asks for nothing");
            return targets.EnumerateArray().Select(target => new DashboardQuery(
                title, panel.GetProperty("type").GetString()!, target.TryGetProperty("format", out var format) ? format.GetString()! : "", target.GetProperty("expr").GetString()!)).ToList();
        })];
    }

    // A collapsed row holds its panels itself.
    private static IEnumerable<JsonElement> Panels(JsonElement holder) =>
        holder.TryGetProperty("panels", out var panels) ? panels.EnumerateArray().SelectMany(panel => Panels(panel).Prepend(panel)) : [];

    /// <summary>Every rule's expression, with the rule's name; names of recording rules are metric names themselves.</summary>
    public static IReadOnlyList<(string Rule, string Expression)> Rules(string repository) =>
        [.. Directory.GetFiles(Path.Combine(repository, "config", "prometheus", "rules"), "*.yml").SelectMany(file =>
            Rule().Matches(File.ReadAllText(file)).Select(match => (match.Groups["name"].Value, match.Groups["expression"].Value)))];

    /// <summary>Grafana's variables as a running Prometheus wants them.</summary>
    public static string Substitute(string expression, string interval) =>
        expression.Replace("$__rate_interval", interval, StringComparison.Ordinal).Replace("$job", ".*", StringComparison.Ordinal).Replace("$instance", ".*", StringComparison.Ordinal);

    public static IEnumerable<string> MetricNames(string expression)
    {
        var bare = Grouping().Replace(Strings().Replace(expression, ""), " ");
        bare = Matchers().Replace(bare, " ");
        bare = Durations().Replace(bare, " ");
        return Identifier().Matches(bare).Where(match => !match.Groups["call"].Success).Select(match => match.Groups["name"].Value).Where(name => !Keywords.Contains(name));
    }

    // A rule: its name, and its expression on one line or as a block that ends where the indentation does.
    [GeneratedRegex(@"- (?:record|alert): (?<name>\S+)\n(\s*#[^\n]*\n)*\s+expr: (\|\n)?(?<expression>.*\n( {10,}\S.*\n)*)", RegexOptions.ExplicitCapture, 5000)]
    private static partial Regex Rule();

    [GeneratedRegex("\"[^\"]*\"", RegexOptions.ExplicitCapture, 5000)]
    private static partial Regex Strings();

    [GeneratedRegex(@"\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)", RegexOptions.ExplicitCapture, 5000)]
    private static partial Regex Grouping();

    [GeneratedRegex(@"\{[^}]*\}", RegexOptions.ExplicitCapture, 5000)]
    private static partial Regex Matchers();

    [GeneratedRegex(@"\[[^\]]*\]|\b\d+(?:\.\d+)?(?:e\d+|ms|s|m|h|d)?\b", RegexOptions.ExplicitCapture, 5000)]
    private static partial Regex Durations();

    [GeneratedRegex(@"(?<name>[a-zA-Z_:][a-zA-Z0-9_:]*)(?<call>\s*\()?", RegexOptions.ExplicitCapture, 5000)]
    private static partial Regex Identifier();
}

/// <param name="Type">Of the panel, such as timeseries or heatmap.</param>
/// <param name="Format">What the panel wants the answer as; empty is the panel's own.</param>
internal sealed record DashboardQuery(string Panel, string Type, string Format, string Expression);
