using System.Globalization;
using System.Net;

namespace Proxy.Bench.Peers;

/// <summary>Varnish in front of an origin, objects in memory; its template is varnish.vcl beside this file.</summary>
internal sealed class VarnishServer(IPEndPoint listen, IPEndPoint origin, string folder, long memoryBytes) : BenchServer("Varnish", listen)
{
    private ChildProcess? _process;

    public override string Description => $"malloc {memoryBytes >> 20} MiB, streaming, 2 thread pools; verifies no signature";

    protected override ChildProcess? Process => _process;

    public override async Task StartAsync(CancellationToken cancellation)
    {
        Directory.CreateDirectory(folder);
        var file = Path.Combine(folder, "varnish.vcl");
        await File.WriteAllTextAsync(
            file,
            Templates.Fill("varnish.vcl", ("HOST", origin.Address.ToString()), ("PORT", origin.Port.ToString(CultureInfo.InvariantCulture))),
            cancellation);
        string[] arguments =
        [
            // Its jail would give root away and could then not read a private temporary folder.
            .. Environment.IsPrivilegedProcess ? ["-j", "none"] : Array.Empty<string>(),
            "-F", "-n", Path.Combine(folder, "work"), "-a", Listen.ToString(), "-f", file,
            "-s", string.Create(CultureInfo.InvariantCulture, $"malloc,{memoryBytes >> 20}M"),
            "-p", "thread_pool_min=200", "-p", "http_gzip_support=off", "-p", "timeout_idle=300",
        ];
        _process = ChildProcess.Start("varnishd", arguments, folder);
        await WaitUntilListeningAsync(_process, cancellation);
    }

    public override async ValueTask DisposeAsync()
    {
        if (_process is not null)
        {
            await _process.DisposeAsync();
        }
    }
}
