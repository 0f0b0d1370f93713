using System.Globalization;
using System.Net;

namespace Proxy.Bench.Peers;

/// <summary>nginx with proxy_cache and slices in front of an origin; its template is nginx.conf beside this file.</summary>
/// <param name="isDirect">Read the cache's files with O_DIRECT, past the page cache: for comparisons of what disks give.</param>
internal sealed class NginxServer(IPEndPoint listen, IPEndPoint origin, string folder, bool isDirect) : BenchServer("nginx", listen)
{
    private ChildProcess? _process;

    public override string Description
        => $"proxy_cache + slice 1m, {Environment.ProcessorCount} workers, {(isDirect ? "O_DIRECT reads on threads" : "sendfile from the page cache")}; verifies no signature";

    public override IReadOnlyList<int> Processes => _process is null ? [] : [_process.Id];

    public override async Task StartAsync(CancellationToken cancellation)
    {
        Directory.CreateDirectory(folder);
        var file = Path.Combine(folder, "nginx.conf");
        await File.WriteAllTextAsync(
            file,
            Templates.Fill(
                "nginx.conf",
                ("DIR", folder), ("LISTEN", Listen.ToString()), ("ORIGIN", origin.ToString()),
                ("WORKERS", Environment.ProcessorCount.ToString(CultureInfo.InvariantCulture)),
                ("USER", Environment.IsPrivilegedProcess ? "user root;" : ""),
                ("DISK", isDirect ? "aio threads; directio 4k; directio_alignment 4k; output_buffers 2 1m;" : "")),
            cancellation);
        _process = ChildProcess.Start("nginx", ["-p", folder, "-e", Path.Combine(folder, "nginx.err"), "-c", file], folder);
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
