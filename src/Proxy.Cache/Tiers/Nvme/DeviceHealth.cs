using System.Diagnostics;

namespace Proxy.Cache.Tiers.Nvme;

/// <summary>Decides when a device steps aside: at the first failed write, at three failed reads in a row, when it hangs, or when reads take ten times as long as usual.</summary>
/// <remarks>Told by all threads of a store; asked on every operation. <see cref="NvmeDevice"/> probes and calls <see cref="Resume"/>.</remarks>
internal sealed class DeviceHealth(Action<string> suspended)
{
    private const int ReadFailuresInARow = 3;
    private const double SlowFactor = 10;
    private const int SettledAfterReads = 256;
    // Below a quarter of a second it may be the processor that is busy, not the device.
    private static readonly double SlowTicks = Stopwatch.Frequency * 0.25;
    private readonly Lock _lock = new();
    private int _failedReads;
    private double _usual;
    private double _recent;
    private long _reads;
    private volatile string? _reason;

    public bool IsSuspended => _reason is not null;

    public string Reason => _reason ?? "";

    public void WriteFailed(Exception e) => Suspend($"a write failed: {e.Message}");

    public void ReadFailed(Exception e)
    {
        if (Interlocked.Increment(ref _failedReads) >= ReadFailuresInARow)
        {
            Suspend($"reads fail: {e.Message}");
        }
    }

    public void ReadDone(long ticks)
    {
        if (Volatile.Read(ref _failedReads) != 0)
        {
            Volatile.Write(ref _failedReads, 0);
        }

        // Averages without a lock: a lost sample changes nothing.
        var reads = ++_reads;
        var usual = _usual += (ticks - _usual) / (reads <= SettledAfterReads ? reads : 4096);
        var recent = _recent += (ticks - _recent) / Math.Min(reads, 16);
        if (recent > SlowTicks && recent > SlowFactor * usual && reads > SettledAfterReads)
        {
            Suspend($"reads take {1000 * recent / Stopwatch.Frequency:F0} ms where {1000 * usual / Stopwatch.Frequency:F1} ms are usual");
        }
    }

    public void Suspend(string reason)
    {
        lock (_lock)
        {
            if (_reason is not null)
            {
                return;
            }

            _reason = reason;
        }

        suspended(reason);
    }

    public void Resume()
    {
        _failedReads = 0;
        _recent = _usual;
        _reason = null;
    }
}
