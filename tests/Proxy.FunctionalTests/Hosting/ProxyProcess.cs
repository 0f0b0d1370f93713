using System.Diagnostics;
using System.Globalization;
using System.Net.Security;
using System.Text;

namespace Proxy.FunctionalTests.Hosting;

/// <summary>A real proxy: the built server as a child process on free loopback ports, with a data folder of its own.</summary>
/// <remarks>Started by a test or fixture, which disposes it; used by one test at a time. The data folder outlives a stop or a kill -9 until then.</remarks>
public sealed class ProxyProcess : IAsyncDisposable
{
    public const string AccessKey = "minioadmin";
    public const string SecretKey = "minioadmin";

    private static readonly TimeSpan ReadyWithin = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan StopWithin = TimeSpan.FromSeconds(30);

    private readonly IReadOnlyList<string> _arguments;
    private readonly IReadOnlyDictionary<string, string> _environment;
    private readonly IReadOnlyList<string> _launcher;
    private readonly StringBuilder _log = new();

    // A certificate that the admin listener shows is one a test has just made.
    private readonly HttpClient _http = new(new SocketsHttpHandler
    {
        SslOptions = { RemoteCertificateValidationCallback = static (_, _, _, errors) => !errors.HasFlag(SslPolicyErrors.RemoteCertificateNotAvailable) },
    })
    {
        Timeout = TimeSpan.FromSeconds(5),
    };

    private Process? _process;

    private ProxyProcess(IReadOnlyList<string> arguments, IReadOnlyDictionary<string, string> environment, IReadOnlyList<string> launcher, string? fileSystem)
    {
        _launcher = launcher;
        _arguments = arguments;
        _environment = environment;
        var ports = Loopback.FreePorts(2);
        Endpoint = new Uri($"http://127.0.0.1:{ports}");
        var isAdminTls = arguments.Any(static argument => argument.StartsWith("Admin:Tls:", StringComparison.Ordinal));
        Admin = new Uri($"{(isAdminTls ? "https" : "http")}://127.0.0.1:{ports + 1}");
        DataDirectory = fileSystem is null
            ? Directory.CreateTempSubdirectory("proxy-test-").FullName
            : Directory.CreateDirectory(Path.Combine(fileSystem, $"proxy-test-{Path.GetRandomFileName()}")).FullName;
    }

    /// <summary>Where S3 is served; the same after a restart.</summary>
    public Uri Endpoint { get; }

    /// <summary>Where health, metrics and the console are.</summary>
    public Uri Admin { get; }

    public string DataDirectory { get; }

    /// <summary>Between a stop or a kill and the moment it is ready again.</summary>
    public bool IsDown { get; private set; } = true;

    /// <summary>Process id while it runs.</summary>
    public int ProcessId => _process?.Id ?? throw new InvalidOperationException("the proxy is not running");

    /// <summary>Memory of it that is in RAM.</summary>
    public long ResidentMiB => long.Parse(File.ReadLines($"/proc/{ProcessId}/status").First(static line => line.StartsWith("VmRSS", StringComparison.Ordinal)).Split(' ', StringSplitOptions.RemoveEmptyEntries)[1], CultureInfo.InvariantCulture) >> 10;

    /// <summary>Everything the process wrote so far, over all its starts.</summary>
    public string Log
    {
        get
        {
            lock (_log)
            {
                return _log.ToString();
            }
        }
    }

    /// <summary>The end of <see cref="Log"/>, for the message of a failed assertion.</summary>
    public string LogTail => Log is { Length: > 6000 } log ? "…" + log[^6000..] : Log;

    /// <summary>Starts a proxy and waits until it is ready.</summary>
    /// <param name="arguments">Beside --listen, --admin, --data and small memory and NVMe sizes, which a later flag of the same name replaces.</param>
    /// <param name="launcher">A command that becomes (exec) the program named after it; none starts it directly.</param>
    /// <param name="backend">The S3 endpoint to stand in front of; null for the local store.</param>
    /// <param name="fileSystem">Where its data goes instead of the temporary folder.</param>
    public static async Task<ProxyProcess> StartAsync(
        IEnumerable<string>? arguments = null, Uri? backend = null, IReadOnlyDictionary<string, string>? environment = null, IReadOnlyList<string>? launcher = null,
        string? fileSystem = null)
    {
        List<string> all = [.. arguments ?? []];
        if (!all.Contains("--memory", StringComparer.Ordinal))
        {
            all.AddRange(["--memory", "128MiB"]);
        }

        if (!all.Contains("--nvme", StringComparer.Ordinal))
        {
            all.AddRange(["--nvme", "512MiB"]);
        }

        if (backend is not null)
        {
            all.AddRange(["--backend-endpoint", backend.ToString(), "--backend-access-key", AccessKey, "--backend-secret-key", SecretKey, "--backend-region", "us-east-1"]);
        }

        var proxy = new ProxyProcess(all, environment ?? new Dictionary<string, string>(StringComparer.Ordinal), launcher ?? [], fileSystem);
        try
        {
            await proxy.StartAgainAsync();
            return proxy;
        }
        catch
        {
            await proxy.DisposeAsync();
            throw;
        }
    }

    /// <summary>Starts it on the same ports and data after <see cref="StopAsync"/> or <see cref="KillAsync"/>.</summary>
    public async Task StartAgainAsync()
    {
        var server = Path.Combine(Loopback.Repository, "artifacts", "bin", "Proxy.Server", Loopback.Configuration, "Proxy.Server.dll");
        Assert.True(File.Exists(server), $"{server} is not built");
        string[] own = [.. _launcher, "dotnet", server, "--listen", Endpoint.Authority, "--admin", Admin.Authority, "--data", DataDirectory];
        var start = new ProcessStartInfo(own[0], own.Skip(1).Concat(_arguments))
        {
            UseShellExecute = false,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            WorkingDirectory = DataDirectory,    // no config/proxy.json there: a test sees the built-in defaults
        };

        // Keys and settings of whoever runs the tests are none of the proxy's.
        foreach (var name in start.Environment.Keys.Where(name => name.StartsWith("AWS_", StringComparison.Ordinal) || name.StartsWith("MINIO_", StringComparison.Ordinal)).ToList())
        {
            start.Environment.Remove(name);
        }

        foreach (var (name, value) in _environment)
        {
            start.Environment[name] = value;
        }

        _process = new Process { StartInfo = start };
        _process.OutputDataReceived += Keep;
        _process.ErrorDataReceived += Keep;
        _process.Start();
        _process.BeginOutputReadLine();
        _process.BeginErrorReadLine();
        await WaitUntilReadyAsync();
        IsDown = false;
    }

    /// <summary>Ends it as an operator would (SIGTERM) and waits.</summary>
    /// <returns>Its exit code.</returns>
    public async Task<int> StopAsync()
    {
        var process = _process ?? throw new InvalidOperationException("the proxy is not running");
        IsDown = true;
        Signal.Send(process.Id, Signal.Terminate);
        return await WaitForExitAsync(process, "SIGTERM");
    }

    /// <summary>Asks it to read its configuration again (SIGHUP).</summary>
    public void HangUp() => Signal.Send(ProcessId, Signal.HangUp);

    /// <summary>It hangs (SIGSTOP): the kernel goes on taking connections and bytes for it, and nobody answers.</summary>
    public void Freeze() => Signal.Send(ProcessId, Signal.Stop);

    public void Thaw() => Signal.Send(ProcessId, Signal.Continue);

    /// <summary>Ends it as a power cut would (kill -9).</summary>
    public async Task KillAsync()
    {
        var process = _process ?? throw new InvalidOperationException("the proxy is not running");
        IsDown = true;
        process.Kill();
        await WaitForExitAsync(process, "SIGKILL");
    }

    public async Task RestartAsync()
    {
        await StopAsync();
        await StartAgainAsync();
    }

    /// <summary>The text of /metrics.</summary>
    public Task<string> ReadMetricsAsync() => _http.GetStringAsync(new Uri(Admin, "/metrics"));

    /// <summary>One metric, over all its labels.</summary>
    public async Task<double> ReadMetricAsync(string name)
        => (await ReadMetricsAsync()).Split('\n').Where(line => line.StartsWith(name, StringComparison.Ordinal) && line[name.Length] is ' ' or '{')
            .Sum(static line => double.Parse(line[(line.LastIndexOf(' ') + 1)..], CultureInfo.InvariantCulture));

    public async ValueTask DisposeAsync()
    {
        if (_process is not null)
        {
            await KillAsync();
        }

        _http.Dispose();
        try
        {
            Directory.Delete(DataDirectory, recursive: true);
        }
        catch (IOException)
        {
            // Left for whoever cleans the temporary folder: not this test's subject.
        }
    }

    private async Task WaitUntilReadyAsync()
    {
        var started = Stopwatch.GetTimestamp();
        while (Stopwatch.GetElapsedTime(started) < ReadyWithin)
        {
            if (_process!.HasExited)
            {
                throw new InvalidOperationException($"the proxy ended with {_process.ExitCode} before it was ready. Its log:\n{LogTail}");
            }

            try
            {
                using var answer = await _http.GetAsync(new Uri(Admin, "/health/ready"));
                if (answer.IsSuccessStatusCode)
                {
                    return;
                }
            }
            catch (Exception error) when (error is HttpRequestException or TaskCanceledException)
            {
                // Not listening yet.
            }

            // The one wait by time here: a process that is starting has no event to wait on.
            await Task.Delay(50);
        }

        throw new TimeoutException($"the proxy was not ready within {ReadyWithin}. Its log:\n{LogTail}");
    }

    private async Task<int> WaitForExitAsync(Process process, string signal)
    {
        using var timeout = new CancellationTokenSource(StopWithin);
        try
        {
            await process.WaitForExitAsync(timeout.Token);
        }
        catch (OperationCanceledException error)
        {
            process.Kill();
            throw new TimeoutException($"the proxy did not end within {StopWithin} of {signal}. Its log:\n{LogTail}", error);
        }

        var code = process.ExitCode;
        process.Dispose();
        _process = null;
        return code;
    }

    private void Keep(object sender, DataReceivedEventArgs line)
    {
        lock (_log)
        {
            _log.AppendLine(line.Data);
        }
    }
}
