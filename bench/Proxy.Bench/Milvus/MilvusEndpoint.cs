using Proxy.Bench.Http;
using Proxy.Bench.Peers;
using Proxy.Bench.Shape;

namespace Proxy.Bench.Milvus;

/// <summary>One endpoint of a run, with what the bench can do to it beside asking it.</summary>
/// <param name="Target">Where clients go.</param>
internal sealed record MilvusEndpoint(string Name, S3Target Target)
{
    /// <summary>Where data is put that the endpoint must not have seen: its backend, or itself when nothing is between; null when that is not known.</summary>
    public S3Target? Origin { get; init; }

    /// <summary>Between endpoint and backend, when the bench started them: counts, throttles, stops.</summary>
    public RelayServer? Backend { get; init; }

    /// <summary>The processes that are the backend; none where the bench did not start it.</summary>
    public IReadOnlyList<BenchServer> BackendServers { get; init; } = [];

    /// <summary>What is between clients and backend, when the bench started it.</summary>
    public CacheUnderTest? Cache { get; init; }

    /// <summary>Its processes when somebody else started it and said so.</summary>
    public IReadOnlyList<int> ServerProcesses { get; init; } = [];

    public ProxyServer? Proxy => Cache?.Current as ProxyServer;

    /// <summary>Nothing is between clients and backend: what the others are compared with.</summary>
    public bool IsDirect => Origin is not null && Cache is null && (Backend is not null || Origin.Endpoint == Target.Endpoint);

    public CpuSeconds ReadCpu() => CpuSeconds.Read(Cache?.Current.Processes ?? ServerProcesses, BackendServers);
}
