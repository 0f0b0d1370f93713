using System.Globalization;
using System.Net;
using Proxy.Bench.Commands;
using Proxy.Bench.Peers;
using Proxy.Bench.Workloads;
using Spectre.Console;

namespace Proxy.Bench.Compare;

/// <summary>What of a comparison's servers is asked for.</summary>
/// <param name="Proxies">Names and assemblies, the first the one the others are compared with.</param>
/// <param name="Arguments">Further arguments of the proxies.</param>
/// <param name="WithNearNginx">Another nginx, with the send buffers that the proxy gives clients nearby.</param>
/// <param name="MemoryBytes">Of the proxy's memory tier and of Varnish.</param>
/// <param name="DataBytes">Of the objects in all.</param>
/// <param name="IsOnDisk">The bytes are on NVMe, and every server's memory is limited.</param>
internal sealed record CompareSetup(
    IReadOnlyList<(string Name, string Assembly)> Proxies, IReadOnlyList<string> Arguments, bool WithNginx, bool WithNearNginx, bool WithVarnish, bool WithCeiling, long MemoryBytes, long DataBytes, bool IsOnDisk)
{
    /// <summary>Room for a server's own code and buffers.</summary>
    private const long LeastLimit = 320L << 20;

    /// <summary>Objects must be so many times what the page cache of a server could hold.</summary>
    private const int LeastTimesMemory = 4;

    /// <summary>For the disk: ten times what each server's memory is limited to.</summary>
    public const long DefaultDiskData = 10 * LeastLimit;

    /// <summary>Each server's memory, page cache included: a tenth of the data.</summary>
    public long LimitBytes => Math.Max(LeastLimit, DataBytes / 10);

    /// <summary>The origin, two of each proxy, one of each other.</summary>
    public int PortCount => 1 + (2 * Proxies.Count) + (WithNginx ? 1 : 0) + (WithNearNginx ? 1 : 0) + (WithVarnish ? 1 : 0) + (WithCeiling ? 2 : 0);

    /// <summary>Finds what would keep the comparison from being one, before anything is started.</summary>
    /// <exception cref="RunFailedException">It cannot be made like this.</exception>
    public void Check(string folder, IAnsiConsole console)
    {
        RunFailedException.Unless(!(WithNginx || WithNearNginx) || ChildProcess.Exists("nginx"), "nginx is not installed: apt-get install nginx-light, or --peers varnish");
        RunFailedException.Unless(!WithVarnish || ChildProcess.Exists("varnishd"), "varnishd is not installed: apt-get install varnish, or --peers nginx");
        if (!IsOnDisk)
        {
            RunFailedException.Unless(
                MemoryBytes >= DataBytes * 5 / 4, $"--memory {ByteSize.Format(MemoryBytes)} does not hold --data-size {ByteSize.Format(DataBytes)} and a quarter more: it would not be memory-hot");
            return;
        }

        RunFailedException.Unless(
            DataBytes >= LeastTimesMemory * LimitBytes,
            $"--data-size {ByteSize.Format(DataBytes)}: each server has {ByteSize.Format(LimitBytes)} of memory and would read much of it from the page cache; the default is {ByteSize.Format(DefaultDiskData)}");
        RunFailedException.Unless(MemoryBytes <= LimitBytes / 2, $"--memory {ByteSize.Format(MemoryBytes)} leaves too little of the {ByteSize.Format(LimitBytes)} that each server has");
        if (DataBytes < 10 * LimitBytes)
        {
            console.MarkupLineInterpolated(CultureInfo.InvariantCulture, $"[yellow]note[/] the page cache of a server can hold up to {(double)LimitBytes / DataBytes:P0} of the data: at {ByteSize.Format(DefaultDiskData)} it is a tenth");
        }

        var disks = Proxies.Count + (WithNginx ? 1 : 0) + (WithNearNginx ? 1 : 0);
        var needed = (disks * DataBytes * 11 / 10) + (DiskReference.IsInstalled ? DiskReference.FileBytes(DataBytes) : 0);
        var free = new DriveInfo(folder).AvailableFreeSpace;
        RunFailedException.Unless(free > needed, $"{disks} copies of the data and fio's file need {needed >> 20} MiB in {folder}, {free >> 20} MiB are free: a smaller --data-size, or another --folder");
    }

    /// <param name="port">First of the servers' own; the origin's is not among them.</param>
    public IReadOnlyList<BenchServer> Make(IPEndPoint origin, string folder, int port)
    {
        var servers = new List<BenchServer>();
        var nvme = IsOnDisk ? string.Create(CultureInfo.InvariantCulture, $"{(2 * DataBytes) >> 20}MiB") : "0";
        foreach (var (name, assembly) in Proxies)
        {
            servers.Add(new ProxyServer(name, At(port++), At(port++), Path.Combine(folder, name), new ProxySetup(assembly, MemoryBytes, nvme, new Uri($"http://{origin}"), Arguments)));
        }

        if (WithNginx)
        {
            servers.Add(new NginxServer(At(port++), origin, Path.Combine(folder, "nginx"), isDiskBound: IsOnDisk));
        }

        if (WithNearNginx)
        {
            servers.Add(new NginxServer(At(port++), origin, Path.Combine(folder, NginxServer.NearName), isDiskBound: IsOnDisk, hasNearBuffer: true));
        }

        if (WithVarnish)
        {
            servers.Add(new VarnishServer(At(port++), origin, Path.Combine(folder, "varnish"), MemoryBytes));
        }

        if (WithCeiling)
        {
            servers.Add(new CeilingServer(At(port++), DataBytes, copiesNothing: false));
            servers.Add(new CeilingServer(At(port), DataBytes, copiesNothing: true));
        }

        return servers;
    }

    private static IPEndPoint At(int port) => new(IPAddress.Loopback, port);
}
