using System.Globalization;
using System.Net;
using System.Text.RegularExpressions;
using Proxy.Bench.Peers;

namespace Proxy.Bench.Milvus;

/// <summary>nginx with proxy_cache and slices before an S3 backend; its template is nginx-milvus.conf beside this file.</summary>
/// <remarks>
/// Reads of the prefixes Milvus writes once are cached; everything else goes on as it came, Host included, so that its signature holds. A cached read has none:
/// slices change Range and a cached HEAD is asked for as a GET, so the relay behind it signs.
/// </remarks>
/// <param name="root">minio.rootPath.</param>
/// <param name="cacheBytes">Of its files; what the page cache keeps of them comes on top.</param>
internal sealed class NginxCache(IPEndPoint listen, IPEndPoint backend, string folder, string root, long cacheBytes) : BenchServer("nginx", listen)
{
    private ChildProcess? _process;

    public override string Description => $"proxy_cache of {cacheBytes >> 20} MiB on disk + slice 1m, {Environment.ProcessorCount} workers, sendfile from the page cache; verifies no signature on a cached read, and the relay behind it signs for it";

    protected override ChildProcess? Process => _process;

    public override async Task StartAsync(CancellationToken cancellation)
    {
        Directory.CreateDirectory(folder);
        var file = Path.Combine(folder, "nginx.conf");
        var text = Templates.Fill(
            "nginx-milvus.conf",
            ("DIR", folder), ("LISTEN", Listen.ToString()), ("BACKEND", backend.ToString()), ("ROOT", Regex.Escape(root)),
            ("WORKERS", Environment.ProcessorCount.ToString(CultureInfo.InvariantCulture)),
            ("MEBIBYTES", (cacheBytes >> 20).ToString(CultureInfo.InvariantCulture)),
            ("USER", Environment.IsPrivilegedProcess ? "user root;" : ""));
        await File.WriteAllTextAsync(file, text, cancellation);
        _process = ChildProcess.Start("nginx", ["-p", folder, "-e", Path.Combine(folder, "nginx.err"), "-c", file], folder);
        await WaitUntilListeningAsync(_process, cancellation);
    }

    public override async ValueTask DisposeAsync()
    {
        if (_process is { } process)
        {
            _process = null;
            await process.DisposeAsync();
        }
    }
}
