using System.Diagnostics;
using System.Text.Json;
using Proxy.FunctionalTests.Hosting;

namespace Proxy.FunctionalTests.Telemetry;

/// <summary>A real Prometheus scrapes running proxies, evaluates our rules, and has data for every query of the dashboard.</summary>
public sealed class PrometheusTests(ObservedProxies proxies) : IClassFixture<ObservedProxies>
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(90);

    [Fact]
    public async Task Dashboard_OverAScrapedProxy_HasDataInEveryPanel()
    {
        if (!await ToolProcess.SucceedsAsync("prometheus", "--version"))
        {
            Assert.Skip("prometheus is not installed: apt-get install prometheus");
        }

        var folder = Directory.CreateTempSubdirectory("proxy-prometheus-").FullName;
        var port = Loopback.FreePorts();
        await File.WriteAllTextAsync(Path.Combine(folder, "prometheus.yml"), Configuration());
        using var prometheus = new Process
        {
            StartInfo = new ProcessStartInfo(
                "prometheus",
                [
                    $"--config.file={folder}/prometheus.yml", $"--storage.tsdb.path={folder}/data", $"--web.listen-address=127.0.0.1:{port}", "--log.level=warn",
                ])
            {
                UseShellExecute = false,
                RedirectStandardOutput = true,
                RedirectStandardError = true,
            },
        };
        prometheus.OutputDataReceived += static (_, _) => { };
        prometheus.ErrorDataReceived += static (_, _) => { };
        prometheus.Start();
        prometheus.BeginOutputReadLine();
        prometheus.BeginErrorReadLine();
        try
        {
            using var http = new HttpClient { BaseAddress = new Uri($"http://127.0.0.1:{port}"), Timeout = TimeSpan.FromSeconds(10) };
            var waiting = PromQl.Dashboard(Loopback.Repository).ToList();
            var started = Stopwatch.GetTimestamp();
            while (waiting.Count > 0)
            {
                // Rates want samples on both sides of some load.
                await proxies.LoadAsync();
                var empty = new List<DashboardQuery>();
                foreach (var query in waiting)
                {
                    if (!await HasDataAsync(http, PromQl.Substitute(query.Expression, "20s"), nonZero: query.Type == "heatmap"))
                    {
                        empty.Add(query);
                    }
                }

                waiting = empty;
                Assert.True(
                    waiting.Count == 0 || Stopwatch.GetElapsedTime(started) < Patience,
                    "no data for:\n" + string.Join('\n', waiting.Select(query => $"{query.Panel}: {query.Expression}")));
            }

            await AssertRulesAreHealthyAsync(http, started);
        }
        finally
        {
            prometheus.Kill();
            await prometheus.WaitForExitAsync();
            Directory.Delete(folder, recursive: true);
        }
    }

    private string Configuration() => $$"""
        global: { scrape_interval: 1s, evaluation_interval: 1s }
        rule_files: ["{{Path.Combine(Loopback.Repository, "config", "prometheus", "rules")}}/*.yml"]
        scrape_configs:
          - job_name: s3-proxy
            static_configs:
              - targets: ["{{proxies.Remote.Admin.Authority}}", "{{proxies.Local.Admin.Authority}}"]
        """;

    /// <param name="nonZero">A heat map of zeros is empty.</param>
    private static async Task<bool> HasDataAsync(HttpClient http, string expression, bool nonZero)
    {
        try
        {
            using var answer = await http.GetAsync(new Uri("/api/v1/query?query=" + Uri.EscapeDataString(expression), UriKind.Relative));
            var text = await answer.Content.ReadAsStringAsync();
            if (answer.StatusCode == System.Net.HttpStatusCode.ServiceUnavailable)
            {
                return false; // starting
            }

            using var json = JsonDocument.Parse(text);
            Assert.True(json.RootElement.GetProperty("status").GetString() == "success", $"{expression}: {text}");
            return json.RootElement.GetProperty("data").GetProperty("result").EnumerateArray()
                .Any(series => series.GetProperty("value")[1].GetString() is var value && value != "NaN" && !(nonZero && value == "0"));
        }
        catch (HttpRequestException)
        {
            return false; // not listening yet
        }
    }

    private static async Task AssertRulesAreHealthyAsync(HttpClient http, long started)
    {
        while (true)
        {
            using var json = JsonDocument.Parse(await http.GetStringAsync(new Uri("/api/v1/rules", UriKind.Relative)));
            var rules = json.RootElement.GetProperty("data").GetProperty("groups").EnumerateArray().SelectMany(group => group.GetProperty("rules").EnumerateArray()).ToList();
            Assert.True(rules.Count >= 23);
            var unhealthy = rules.Where(rule => rule.GetProperty("health").GetString() != "ok").Select(rule => rule.ToString()).ToList();
            if (unhealthy.Count == 0)
            {
                return;
            }

            Assert.True(Stopwatch.GetElapsedTime(started) < Patience && !unhealthy.Exists(rule => rule.Contains("lastError\":\"", StringComparison.Ordinal)), string.Join('\n', unhealthy));
            await Task.Delay(200);
        }
    }
}
