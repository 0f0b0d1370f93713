using System.Collections.Concurrent;
using System.Diagnostics;
using Proxy.Bench.Shape;

namespace Proxy.Bench.Milvus;

/// <summary>What one measured part of a workload took.</summary>
/// <param name="Bytes">That clients sent or received.</param>
/// <param name="Requests">That clients made.</param>
/// <param name="BackendRequests">Null where the bench did not start the backend; so with the next.</param>
/// <param name="Watched">Which objects the backend was asked for; empty unless that was wanted.</param>
internal sealed record Measured(
    string Name, double Seconds, long Bytes, long Requests, CpuSeconds Cpu, long? BackendRequests, long? BackendBytes, IReadOnlyCollection<WatchedRequest> Watched)
{
    /// <summary>Share of the bytes that did not come from the backend; null where its are not counted.</summary>
    public double? HitShare => BackendBytes is { } bytes && Bytes > 0 ? Math.Max(0, 1 - (bytes / (double)Bytes)) : null;
}

/// <summary>The part of a workload's context that its figures come from.</summary>
internal sealed partial class MilvusContext
{
    private readonly List<Expectation> _expectations = [];
    private readonly List<string> _notes = [];
    private readonly ConcurrentDictionary<string, byte> _spans = new(StringComparer.Ordinal);

    /// <summary>Figures of the workload's own, each named by its part and its unit: wall time, backend requests, CPU.</summary>
    public Dictionary<string, double> Figures { get; } = new(StringComparer.Ordinal);

    /// <summary>The parts in the order they were measured.</summary>
    public List<string> Parts { get; } = [];

    public IReadOnlyList<Expectation> Expectations => _expectations;

    /// <summary>What a reader of the figures must know.</summary>
    public IReadOnlyList<string> Notes => _notes;

    /// <summary>Why the workload did nothing on this endpoint; null when it did.</summary>
    public string? Skipped { get; private set; }

    /// <summary>When, since the report's beginning, the first part was measured; null while none was.</summary>
    public TimeSpan? MeasuredFrom { get; private set; }

    private long Bytes => report.Operations.Values.Sum(operation => operation.Bytes);

    private long Requests => report.Operations.Where(pair => !_spans.ContainsKey(pair.Key)).Sum(pair => pair.Value.Count);

    public void Expect(string what, bool isMet, string saw) => _expectations.Add(new Expectation(what, isMet, saw));

    public void Note(string note) => _notes.Add(note);

    public void Skip(string why) => Skipped = why;

    /// <summary>A latency over several requests, which are counted by themselves.</summary>
    public void RecordSpan(string operation, TimeSpan latency)
    {
        _spans[operation] = 0;
        report.Record(operation, latency, cacheOutcome: null);
    }

    /// <summary>Runs something and keeps its wall time, what it cost the backend, and whose CPU it took.</summary>
    /// <param name="isWatched">Also which objects the backend was asked for.</param>
    public async Task<Measured> MeasureAsync(string name, Func<Task> work, bool isWatched = false)
    {
        MeasuredFrom ??= report.Elapsed;
        var backend = endpoint.Backend;
        var before = backend is null ? null : await backend.OrderAsync(new RelayOrder(IsWatched: isWatched ? true : null), CancellationToken.None);
        var (bytes, requests) = (Bytes, Requests);
        var cpu = endpoint.ReadCpu();
        var started = Stopwatch.GetTimestamp();
        await work();
        var seconds = Stopwatch.GetElapsedTime(started).TotalSeconds;
        cpu = endpoint.ReadCpu() - cpu;
        var after = backend is null ? null : await backend.OrderAsync(new RelayOrder(IsWatched: isWatched ? false : null), CancellationToken.None);
        var measured = new Measured(
            name, seconds, Bytes - bytes, Requests - requests, cpu, after?.Requests - before?.Requests, after?.Bytes - before?.Bytes, after?.Watched ?? []);
        Keep(measured);
        return measured;
    }

    private void Keep(Measured measured)
    {
        Parts.Add(measured.Name);
        Figures[$"{measured.Name} s"] = measured.Seconds;
        if (measured is { BackendRequests: { } requests, BackendBytes: { } bytes })
        {
            Figures[$"{measured.Name} backend requests"] = requests;
            Figures[$"{measured.Name} backend MiB"] = bytes / (double)(1 << 20);
        }

        foreach (var (side, seconds) in ((string, double)[])[("client", measured.Cpu.Client), ("server", measured.Cpu.Server), ("backend", measured.Cpu.Backend)])
        {
            if (double.IsNaN(seconds))
            {
                continue;
            }

            Figures[$"{measured.Name} {side} CPU s"] = seconds;
            // By less than this a tick of 10 ms is all there is to see.
            if (measured.Bytes >= 64 << 20)
            {
                Figures[$"{measured.Name} {side} CPU s/GiB"] = seconds / measured.Bytes * (1L << 30);
            }
        }
    }
}
