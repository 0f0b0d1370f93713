namespace Proxy.Bench.Milvus;

/// <summary>One of the workloads W1 to W10.</summary>
/// <param name="Connections">The most requests in flight.</param>
/// <param name="Run">Does it, on one endpoint.</param>
internal sealed record MilvusWorkload(string Name, string Title, int Connections, Func<MilvusContext, CancellationToken, Task> Run)
{
    public static IReadOnlyList<MilvusWorkload> All { get; } =
    [
        new("W1", "insert / WAL", 128, WalWorkload.RunAsync),
        new("W2", "flush", 16, WriteWorkloads.FlushAsync),
        new("W3", "compaction", 16, WriteWorkloads.CompactionAsync),
        new("W4", "index build", 16, WriteWorkloads.IndexBuildAsync),
        new("W5", "cold load, two replicas", 32, LoadWorkloads.ColdLoadAsync),
        new("W6", "warm reload", 128, LoadWorkloads.WarmReloadAsync),
        new("W7", "tiered random reads", 64, TieredReads.RunAsync),
        new("W8", "GC and listing beside reads", 128, GarbageCollection.RunAsync),
        new("W9", "throttled backend", 64, FaultWorkloads.ThrottledAsync),
        new("W10", "failures", 32, FaultWorkloads.FailuresAsync),
    ];

    public static MilvusWorkload Named(string name) => All.Single(workload => workload.Name == name);
}
