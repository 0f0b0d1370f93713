namespace Proxy.Bench.Milvus;

/// <summary>Something a workload is held to beside its bytes being right.</summary>
/// <param name="Saw">What was measured.</param>
internal sealed record Expectation(string What, bool IsMet, string Saw)
{
    public override string ToString() => $"{(IsMet ? "met   " : "MISSED")} {What}: {Saw}";
}
