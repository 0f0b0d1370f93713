using System.Globalization;
using System.Net;
using Proxy.Bench.Commands;
using Proxy.Bench.Workloads;

namespace Proxy.Bench.Peers;

/// <summary>How a proxy under measurement is set up.</summary>
/// <param name="Assembly">Proxy.Server.dll.</param>
/// <param name="Nvme">As <c>--nvme</c> takes it.</param>
/// <param name="Backend">What it stands in front of; null for its own local store.</param>
/// <param name="Arguments">Further arguments of the server.</param>
internal sealed record ProxySetup(string Assembly, long MemoryBytes, string Nvme, Uri? Backend, IReadOnlyList<string> Arguments)
{
    /// <summary>What both tiers hold together, if none of it twice.</summary>
    public long CacheBytes => MemoryBytes + (ByteSize.TryParse(Nvme, out var nvme) ? nvme : 0);
}

/// <summary>This proxy, as a child process on its built server.</summary>
/// <param name="folder">Its data; kept over <see cref="KillAsync"/> and another start.</param>
internal sealed class ProxyServer(string name, IPEndPoint listen, IPEndPoint admin, string folder, ProxySetup setup) : BenchServer(name, listen)
{
    private ChildProcess? _process;

    public Uri Admin => new($"http://{admin}");

    public string Folder => folder;

    public long CacheBytes => setup.CacheBytes;

    public override string Description
        => $"memory {setup.MemoryBytes >> 20} MiB, NVMe {setup.Nvme}, {(setup.Backend is null ? "own local store" : $"in front of {setup.Backend.Authority}")}; verifies every signature{string.Concat(setup.Arguments.Select(argument => " " + argument))}";

    protected override ChildProcess? Process => _process;

    public override async Task StartAsync(CancellationToken cancellation)
    {
        Directory.CreateDirectory(folder);
        List<string> arguments =
        [
            setup.Assembly, "--listen", Listen.ToString(), "--admin", admin.ToString(), "--data", folder,
            "--memory", $"{setup.MemoryBytes >> 20}MiB", "--nvme", setup.Nvme,
        ];
        if (setup.Backend is not null)
        {
            arguments.AddRange(["--backend-endpoint", setup.Backend.ToString(), "--backend-access-key", "minioadmin", "--backend-secret-key", "minioadmin"]);
        }

        arguments.AddRange(setup.Arguments);
        _process = ChildProcess.Start("dotnet", arguments, folder);
        await WaitUntilListeningAsync(_process, cancellation);
    }

    /// <summary>By its own count, since its start; the sum of all that have the name, whatever their labels.</summary>
    /// <returns>NaN while it does not answer.</returns>
    public async Task<double> ReadMetricAsync(string metric, CancellationToken cancellation)
    {
        using var http = new HttpClient { BaseAddress = Admin };
        try
        {
            var metrics = await http.GetStringAsync("metrics", cancellation);
            return metrics.Split('\n').Where(line => line.StartsWith(metric, StringComparison.Ordinal))
                .Sum(line => double.Parse(line[(line.LastIndexOf(' ') + 1)..], CultureInfo.InvariantCulture));
        }
        catch (HttpRequestException)
        {
            return double.NaN;
        }
    }

    /// <summary>Ends it as a power cut would; <see cref="StartAsync"/> brings it back with its data.</summary>
    public async Task KillAsync()
    {
        if (_process is { } process)
        {
            _process = null;
            await process.KillAsync();
            await process.DisposeAsync();
        }
    }

    public override async ValueTask DisposeAsync()
    {
        if (_process is { } process)
        {
            _process = null;
            await process.DisposeAsync();
        }
    }

    /// <summary>The server built beside this bench: the same artifacts folder, the same configuration.</summary>
    public static string FindAssembly()
    {
        // …/artifacts/bin/Proxy.Bench/release/ → …/artifacts/bin/Proxy.Server/release/
        var own = new DirectoryInfo(AppContext.BaseDirectory.TrimEnd(Path.DirectorySeparatorChar));
        var bin = own.Parent?.Parent?.FullName ?? "";
        var file = Path.Combine(bin, "Proxy.Server", own.Name, "Proxy.Server.dll");
        RunFailedException.Unless(File.Exists(file), $"{file} is not there: build the solution, or say --proxy NAME=PATH/Proxy.Server.dll");
        return file;
    }
}
