using Proxy.Bench.Peers;
using Proxy.Bench.Report;

namespace Proxy.Bench.Milvus;

/// <summary>CPU time, user and system, of the three sides of a run: this process, what is between it and the backend, and the backend with its relay.</summary>
/// <remarks>The bench's own is exact; the others are as fine as /proc's ticks of 10 ms. NaN where a side has no process we know of, or one of them ended.</remarks>
internal readonly record struct CpuSeconds(double Client, double Server, double Backend)
{
    public static CpuSeconds Read(IReadOnlyList<int> server, IEnumerable<BenchServer> backend)
        => new(Environment.CpuUsage.TotalTime.TotalSeconds, Of(server), Of([.. backend.SelectMany(part => part.Processes)]));

    public static CpuSeconds operator -(CpuSeconds after, CpuSeconds before)
        => new(after.Client - before.Client, Since(before.Server, after.Server), Since(before.Backend, after.Backend));

    // Less than before: a process of it ended.
    private static double Since(double before, double after) => after < before ? double.NaN : after - before;

    private static double Of(IReadOnlyList<int> roots) => roots.Count == 0 ? double.NaN : ProcessTree.Find(roots).Sum(process => ProcessTree.CpuSeconds(process) ?? double.NaN);
}
