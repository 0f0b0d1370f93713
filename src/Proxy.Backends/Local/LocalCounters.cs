namespace Proxy.Backends.Local;

/// <summary>What the local store has done since it was opened: totals for the metrics page.</summary>
public sealed record LocalCounters
{
    /// <summary>Index transactions made durable.</summary>
    public required long Commits { get; init; }

    /// <summary>Changes in them; divided by <see cref="Commits"/> it is the mean batch.</summary>
    public required long Mutations { get; init; }

    public required int LargestBatch { get; init; }

    /// <summary>Flushes of body files and folders; the index log's own flush comes once per commit on top.</summary>
    public required long BodyFlushes { get; init; }

    public required long BytesWritten { get; init; }

    public required long BytesRead { get; init; }

    /// <summary>Body files found at start-up that no object refers to, and removed.</summary>
    public required long OrphansSwept { get; init; }

    /// <summary>False until the start-up sweep has been through all folders.</summary>
    public required bool SweepFinished { get; init; }
}
