using System.Globalization;
using System.Net;

namespace Proxy.Bench.Peers;

/// <summary>nginx with proxy_cache and slices in front of an origin; its template is nginx.conf beside this file.</summary>
/// <param name="isDiskBound">Its cache is much larger than the memory it gets: read on threads, so that a worker does not wait for the disk.</param>
/// <param name="hasNearBuffer">Its connections have the send buffer that the proxy gives clients nearby, instead of the kernel's own measure.</param>
/// <remarks>There is no O_DIRECT for it: nginx opens cached files with directio off whatever is configured (ngx_http_file_cache_open), so memory is limited from outside.</remarks>
internal sealed class NginxServer(IPEndPoint listen, IPEndPoint origin, string folder, bool isDiskBound, bool hasNearBuffer = false) : BenchServer(hasNearBuffer ? NearName : "nginx", listen)
{
    public const string NearName = "nginx-near";

    private ChildProcess? _process;

    public override string Description
        => $"proxy_cache + slice 1m, {Environment.ProcessorCount} workers, {(isDiskBound ? "sendfile, reads on threads" : "sendfile from the page cache")}{(hasNearBuffer ? ", send buffers of 256 KiB" : "")}; verifies no signature";

    protected override ChildProcess? Process => _process;

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
                ("BUFFER", hasNearBuffer ? " sndbuf=256k" : ""),
                ("DISK", isDiskBound ? "aio threads;" : "")),
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
