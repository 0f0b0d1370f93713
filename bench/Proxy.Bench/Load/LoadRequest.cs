using Proxy.Bench.Workloads;

namespace Proxy.Bench.Load;

/// <summary>What one request of a load asks for.</summary>
internal enum LoadOperation
{
    /// <summary>The whole object.</summary>
    Get,

    /// <summary>Its headers.</summary>
    Head,

    /// <summary>A range of the configured size at an offset aligned to it.</summary>
    Range,

    /// <summary>The last 64 KiB, as Arrow opens a parquet file.</summary>
    Tail,
}

/// <summary>One request: of which object, and which bytes are due.</summary>
/// <param name="Item">Index into the plan's objects.</param>
/// <param name="Length">Bytes of body that are due; 0 for a HEAD.</param>
internal readonly record struct LoadRequest(LoadOperation Operation, int Item, long Start, long Length)
{
    public bool HasRange => Operation is LoadOperation.Range or LoadOperation.Tail;
}

/// <summary>Which requests a load is made of: objects and operations, drawn uniformly.</summary>
/// <param name="Mix">An operation that stands twice is asked for twice as often.</param>
/// <param name="RangeBytes">Size of a <see cref="LoadOperation.Range"/>, and what its offset is a multiple of.</param>
internal sealed record LoadPlan(IReadOnlyList<DatasetObject> Objects, IReadOnlyList<LoadOperation> Mix, long RangeBytes)
{
    private const long TailBytes = 64 << 10;

    private int _drawn = -1;

    /// <summary>Each object once, one after the other, instead of any at random.</summary>
    public bool IsInOrder { get; init; }

    /// <summary>Whether each object was drawn that is to be drawn once.</summary>
    public bool IsDone => IsInOrder && Volatile.Read(ref _drawn) >= Objects.Count - 1;

    public LoadRequest Draw(Random random)
    {
        // Threads that draw at once when all is drawn ask for the last one again.
        var item = IsInOrder ? Math.Min(Interlocked.Increment(ref _drawn), Objects.Count - 1) : random.Next(Objects.Count);
        var operation = Mix.Count == 1 ? Mix[0] : Mix[random.Next(Mix.Count)];
        var size = Objects[item].Size;
        switch (operation)
        {
            case LoadOperation.Head:
                return new LoadRequest(operation, item, 0, 0);
            case LoadOperation.Tail:
                var tail = Math.Min(TailBytes, size);
                return new LoadRequest(operation, item, size - tail, tail);
            case LoadOperation.Range:
                var start = random.NextInt64((size + RangeBytes - 1) / RangeBytes) * RangeBytes;
                return new LoadRequest(operation, item, start, Math.Min(RangeBytes, size - start));
            default:
                return new LoadRequest(operation, item, 0, size);
        }
    }
}
