namespace Proxy.Backends.Local.Bodies;

/// <summary>The running totals behind the store's counters. Fields are added to with Interlocked.</summary>
internal sealed class LocalCounts
{
    public long Commits;
    public long Mutations;
    public int LargestBatch;
    public long BodyFlushes;
    public long BytesWritten;
    public long BytesRead;
    public long OrphansSwept;
    public volatile bool SweepFinished;
}
