using System.Diagnostics;

namespace Proxy.FunctionalTests.Hosting;

/// <summary>A real Ceph object gateway on loopback (tests/clients/ceph-rgw.sh), as a hard backend.</summary>
/// <remarks>One per test run: starting takes some 15 s. Closing its stdin ends it, so it dies with the test runner too.</remarks>
public sealed class CephRgw : IAsyncDisposable
{
    private static readonly TimeSpan ReadyWithin = TimeSpan.FromMinutes(3);

    private readonly Process _script;
    private readonly string _directory;

    private CephRgw(Process script, string directory, Uri endpoint)
    {
        _script = script;
        _directory = directory;
        Endpoint = endpoint;
    }

    /// <summary>Keys are minioadmin/minioadmin.</summary>
    public Uri Endpoint { get; }

    /// <summary>Why it cannot be had on this machine; null when it can.</summary>
    public static async Task<string?> WhyMissingAsync()
    {
        foreach (var program in (string[])["ceph-mon", "ceph-osd", "radosgw", "ceph", "curl"])
        {
            if (!await ToolProcess.SucceedsAsync("sh", "-c", $"command -v {program}"))
            {
                return $"{program} is not installed: apt-get install ceph-mon ceph-osd radosgw curl";
            }
        }

        return null;
    }

    public static async Task<CephRgw> StartAsync()
    {
        var port = Loopback.FreePorts(3);
        var directory = Directory.CreateTempSubdirectory("ceph-rgw-").FullName;
        var start = new ProcessStartInfo("bash", [Path.Combine(Loopback.Repository, "tests", "clients", "ceph-rgw.sh"), directory, $"{port}"])
        {
            UseShellExecute = false,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
        };
        var script = Process.Start(start)!;
        using var timeout = new CancellationTokenSource(ReadyWithin);
        try
        {
            while (await script.StandardOutput.ReadLineAsync(timeout.Token) is { } line)
            {
                if (line.StartsWith("READY ", StringComparison.Ordinal))
                {
                    return new CephRgw(script, directory, new Uri(line["READY ".Length..]));
                }
            }
        }
        catch (OperationCanceledException)
        {
            // Told below, with the place of its logs.
        }

        script.StandardInput.Close();
        throw new InvalidOperationException($"Ceph RGW did not get ready; its logs are in {directory}/log");
    }

    public async ValueTask DisposeAsync()
    {
        _script.StandardInput.Close();
        using var timeout = new CancellationTokenSource(TimeSpan.FromSeconds(20));
        await _script.WaitForExitAsync(timeout.Token);
        _script.Dispose();
        Directory.Delete(_directory, recursive: true);
    }
}
