using System.Text.RegularExpressions;
using Proxy.FunctionalTests.Hosting;

namespace Proxy.FunctionalTests.Telemetry;

/// <summary>What the running proxy exports is well-formed, is what docs/metrics.md lists, and is what rules and dashboard ask for.</summary>
public sealed partial class MetricsTests(ObservedProxies proxies) : IClassFixture<ObservedProxies>
{
    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(1);

    [Fact]
    public async Task Metrics_OfARunningProxy_PassPromtool()
    {
        await RequirePromtoolAsync();
        foreach (var page in await proxies.PagesAsync())
        {
            var file = Path.GetTempFileName();
            await File.WriteAllTextAsync(file, page.Text);
            var result = await ToolProcess.RunAsync("sh", ["-c", $"promtool check metrics < {file}"], Limit);
            File.Delete(file);
            Assert.True(result.ExitCode == 0 && !result.Lines.Any(), result.Output);
        }
    }

    [Fact]
    public async Task MetricsDocument_ListsExactlyWhatIsExported()
    {
        var pages = await proxies.PagesAsync();
        var exported = pages.SelectMany(page => page.Families.Values.Where(family => page.SeriesNames.Any(name => name.StartsWith(family.Name, StringComparison.Ordinal))).Select(family =>
            $"| `{family.Name}` | {family.Type} | {string.Join(", ", page.LabelsOf(family.Name))} | {family.Help} |")).Where(row => row.Contains("`s3_proxy_", StringComparison.Ordinal));
        var documented = (await File.ReadAllLinesAsync(Path.Combine(Loopback.Repository, "docs", "metrics.md"))).Where(line => line.StartsWith("| `s3_proxy_", StringComparison.Ordinal));
        Assert.Equal(exported.Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal), documented.Order(StringComparer.Ordinal));
    }

    [Fact]
    public async Task Expressions_OfRulesAndDashboard_NameOnlyWhatIsExported()
    {
        var rules = PromQl.Rules(Loopback.Repository);
        var dashboard = PromQl.Dashboard(Loopback.Repository);
        Assert.True(rules.Count >= 23 && dashboard.Count >= 50, $"{rules.Count} rules and {dashboard.Count} queries were found");
        HashSet<string> known = [.. (await proxies.PagesAsync()).SelectMany(page => page.SeriesNames), .. rules.Select(rule => rule.Rule), "up"];
        foreach (var (place, expression) in rules.Concat(dashboard.Select(query => (query.Panel, query.Expression))))
        {
            var names = PromQl.MetricNames(expression).ToList();
            Assert.True(names.Count > 0, $"{place}: no metric in {expression}");
            foreach (var name in names)
            {
                Assert.True(known.Contains(name), $"{place}: the proxy exports no {name}");
            }
        }
    }

    [Fact]
    public void HeatMaps_OfTheDashboard_AskForBucketsOverTheScrapesOfTheirTime()
    {
        var maps = PromQl.Dashboard(Loopback.Repository).Where(query => query.Type == "heatmap").ToList();
        Assert.Contains(maps, map => map.Expression.Contains("s3_proxy_nvme_read_duration_seconds_bucket", StringComparison.Ordinal));
        Assert.All(maps, map =>
        {
            Assert.Equal("heatmap", map.Format);
            Assert.Matches(@"^sum by \(le\) \(increase\(\w+_bucket\{.*\}\[\$__rate_interval\]\)\)$", map.Expression);
        });
    }

    /// <summary>Grafana itself comes from no package manager; the types it generates from its schemas do.</summary>
    [Fact]
    public async Task Dashboard_BesideGrafanasOwnTypes_HasNoPropertyGrafanaDoesNotKnow()
    {
        var clients = Path.Combine(Loopback.Repository, "tests", "clients");
        if (!Directory.Exists(Path.Combine(clients, "node_modules", "@grafana")) || !await ToolProcess.SucceedsAsync("node", "--version"))
        {
            Assert.Skip("Grafana's types are not installed: npm install in tests/clients");
        }

        var file = PromQl.DashboardFile(Loopback.Repository);
        var good = await CheckAsync(file);
        Assert.True(good.ExitCode == 0, good.Output);
        Assert.Matches("^[5-9][0-9] panels, [0-9]{3} values looked at, 0 wrong$", good.Lines.Last());

        // The control: a word that is none of Grafana's, deep in a panel's options.
        var broken = Path.GetTempFileName();
        await File.WriteAllTextAsync(broken, (await File.ReadAllTextAsync(file)).Replace("\"cellGap\"", "\"cellGaps\"", StringComparison.Ordinal));
        var bad = await CheckAsync(broken);
        File.Delete(broken);
        Assert.Equal(1, bad.ExitCode);
        Assert.Contains("cellGaps", bad.Output, StringComparison.Ordinal);

        Task<ToolResult> CheckAsync(string dashboard) => ToolProcess.RunAsync("node", [Path.Combine(clients, "grafana-types.mjs"), dashboard], Limit);
    }

    [Theory]
    [InlineData("sum by (job, le) (rate(a_bucket{x=\"sum(b)\",y!=\"c\"}[5m])) / on (job) group_left () (d > 1e6)", "a_bucket d")]
    [InlineData("job:x:rate5m < 0.5 * avg_over_time(job:x:rate5m[1d] offset 15m) and on (job) e > 1", "job:x:rate5m job:x:rate5m e")]
    public void MetricNames_OfAnExpression_AreFound(string expression, string names) => Assert.Equal(names, string.Join(' ', PromQl.MetricNames(expression)));

    [Fact]
    public async Task Series_OfAProxy_AreBounded()
    {
        foreach (var page in await proxies.PagesAsync())
        {
            var lines = page.Text.Split('\n').Count(line => line.Length > 0 && line[0] != '#');
            Assert.InRange(lines, 100, 3000);
            Assert.InRange(page.SeriesCount("s3_proxy_collection_read_bytes_total"), 2, 2 * 21);
        }
    }

    [Fact]
    public async Task PrometheusFiles_PassPromtool()
    {
        await RequirePromtoolAsync();
        var folder = Path.Combine(Loopback.Repository, "config", "prometheus");
        var config = await ToolProcess.RunAsync("promtool", ["check", "config", Path.Combine(folder, "prometheus.yml")], Limit);
        Assert.True(config.ExitCode == 0, config.Output);
        var rules = await ToolProcess.RunAsync("promtool", ["check", "rules", .. Directory.GetFiles(Path.Combine(folder, "rules"))], Limit);
        Assert.True(rules.ExitCode == 0, rules.Output);
        var tests = await ToolProcess.RunAsync("promtool", ["test", "rules", .. Directory.GetFiles(Path.Combine(folder, "tests"))], Limit);
        Assert.True(tests.ExitCode == 0, tests.Output);
    }

    [Fact]
    public async Task EveryAlert_HasAUnitTestThatFiresIt()
    {
        var folder = Path.Combine(Loopback.Repository, "config", "prometheus");
        var tests = await File.ReadAllTextAsync(Path.Combine(folder, "tests", "alerts_test.yml"));
        var alerts = AlertName().Matches(await File.ReadAllTextAsync(Path.Combine(folder, "rules", "alerts.yml"))).Select(match => match.Groups["name"].Value).ToList();
        Assert.True(alerts.Count >= 10);
        foreach (var alert in alerts)
        {
            Assert.Matches($@"alertname: {alert}\n +eval_time: \w+\n +exp_alerts:\n +- exp_labels", tests);
            Assert.Matches($@"alertname: {alert}\n +eval_time: \w+\n +exp_alerts: \[\]", tests);
        }
    }

    private static async Task RequirePromtoolAsync()
    {
        if (!await ToolProcess.SucceedsAsync("promtool", "--version"))
        {
            Assert.Skip("promtool is not installed: apt-get install prometheus");
        }
    }

    [GeneratedRegex(@"- alert: (?<name>\w+)", RegexOptions.ExplicitCapture, 5000)]
    private static partial Regex AlertName();
}
