using System.Globalization;
using System.Text.RegularExpressions;
using Proxy.FunctionalTests.Hosting;

namespace Proxy.FunctionalTests.Clients;

/// <summary>What one client said of one endpoint: each check's name with null for a pass or the reason for a failure.</summary>
public sealed record ClientReport(string Client, IReadOnlyDictionary<string, string?> Checks, string Output)
{
    public IEnumerable<string> Failed => Checks.Where(check => check.Value is not null).Select(check => check.Key);
}

/// <summary>Runs the client programs of tests/clients against an endpoint and reads their PASS and FAIL lines.</summary>
internal static partial class ClientChecks
{
    public static readonly string[] All = ["boto3", "awscli", "aws-js", "minio-js", "minio-go", "lancedb"];

    // The slowest, awscli, starts some sixty Python processes.
    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(5);

    private static readonly string Folder = Path.Combine(Loopback.Repository, "tests", "clients");

    /// <summary>Runs a client; the calling test is skipped when the client is not installed.</summary>
    public static async Task<ClientReport> RunAsync(string client, Uri endpoint)
    {
        var (program, arguments) = await PrepareAsync(client);
        var result = await ToolProcess.RunAsync(
            program,
            [.. arguments, endpoint.GetLeftPart(UriPartial.Authority), ProxyProcess.AccessKey, ProxyProcess.SecretKey],
            Limit,
            directory: Folder);
        var checks = new Dictionary<string, string?>(StringComparer.Ordinal);
        Match? end = null;
        foreach (var line in result.Lines)
        {
            var words = line.Split(' ', 3);
            if (words is ["PASS", var passed, ..])
            {
                (checks[passed], end) = (null, null);
            }
            else if (words is ["FAIL", var failed, ..])
            {
                (checks[failed], end) = (words.Length > 2 ? words[2] : "no reason given", null);
            }
            else if (Summary().Match(line) is { Success: true } summary)
            {
                end = summary;
            }
        }

        Assert.True(checks.Count > 10, $"{client} ran {checks.Count} checks (exit code {result.ExitCode}):\n{result.Output}");
        var counts = (Passed: checks.Values.Count(reason => reason is null), Failed: checks.Values.Count(reason => reason is not null));

        // A script that dies half-way ends with 1 too.
        Assert.True(end is not null && counts == (Number(end.Groups["passed"]), Number(end.Groups["failed"])), $"{client} did not come to its end, or counted otherwise than {counts}:\n{result.Output}");
        Assert.True(result.ExitCode == (counts.Failed > 0 ? 1 : 0), $"{client} ended with {result.ExitCode}:\n{result.Output}");
        return new ClientReport(client, checks, result.Output);
    }

    [GeneratedRegex(@": (?<passed>\d+) passed, (?<failed>\d+) failed$", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Summary();

    private static int Number(Group group) => int.Parse(group.ValueSpan, CultureInfo.InvariantCulture);

    private static async Task<(string Program, string[] Arguments)> PrepareAsync(string client)
    {
        switch (client)
        {
            case "boto3":
                foreach (var python in (string[])["python3", "/usr/bin/python3"])
                {
                    if (await ToolProcess.SucceedsAsync(python, "-c", "import boto3"))
                    {
                        return (python, ["boto3_checks.py"]);
                    }
                }

                return Skip("boto3 is not installed: apt-get install python3-boto3");
            case "awscli":
                return await ToolProcess.SucceedsAsync("aws", "--version")
                    ? ("bash", ["awscli-checks.sh"])
                    : Skip("the AWS command line is not installed: apt-get install awscli");
            case "aws-js" or "minio-js" or "lancedb":
                return Directory.Exists(Path.Combine(Folder, "node_modules")) && await ToolProcess.SucceedsAsync("node", "--version")
                    ? ("node", [$"{client}-checks.mjs"])
                    : Skip("the JavaScript clients are not installed: npm install in tests/clients");
            case "minio-go":
                return (await BuildMinioGoAsync(), []);
            default:
                throw new ArgumentOutOfRangeException(nameof(client), client, "no such client");
        }
    }

    private static async Task<string> BuildMinioGoAsync()
    {
        if (!Directory.Exists("/usr/share/gocode/src/github.com/minio/minio-go/v7") || !await ToolProcess.SucceedsAsync("go", "version"))
        {
            Assert.Skip("Go or minio-go is not installed: apt-get install golang-go golang-github-minio-minio-go-v7-dev");
        }

        var program = Path.Combine(Loopback.Repository, "artifacts", "test-tools", "minio-go-checks");
        var environment = new Dictionary<string, string>(StringComparer.Ordinal) { ["GO111MODULE"] = "off", ["GOPATH"] = "/usr/share/gocode", ["GOFLAGS"] = "" };
        var built = await ToolProcess.RunAsync("go", ["build", "-o", program, "."], TimeSpan.FromMinutes(5), environment, Path.Combine(Folder, "minio-go"));
        Assert.True(built.ExitCode == 0, $"go build:\n{built.Output}");
        return program;
    }

    private static (string Program, string[] Arguments) Skip(string reason)
    {
        Assert.Skip(reason);
        return default;
    }
}
