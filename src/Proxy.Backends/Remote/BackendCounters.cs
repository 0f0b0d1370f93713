using System.Collections.Concurrent;

namespace Proxy.Backends.Remote;

/// <summary>What was asked of one backend, how it answered, and how long it took: plain numbers for the server's metrics to read.</summary>
/// <remarks>Written by <see cref="CountingHandler"/> for reads of our own and forwards alike, bytes by whoever moves them. Thread-safe; never reset.</remarks>
public sealed class BackendCounters
{
    /// <summary>Upper bounds in seconds of <see cref="Row.LatencyBuckets"/>; one more bucket follows for what is slower.</summary>
    public static readonly IReadOnlyList<double> LatencyBounds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

    private static readonly double[] Bounds = [.. LatencyBounds];

    private readonly ConcurrentDictionary<(string Operation, int Status), Row> _rows = new();
    private readonly ConcurrentDictionary<string, Traffic> _traffic = new(StringComparer.Ordinal);
    private long _inFlight;
    private long _retries;
    private long _absorbed;
    private long _hedged;
    private long _hedgesWon;
    private long _hedgesLost;
    private long _notAdmitted;
    private long _notReachable;
    private long _breakerOpenings;

    /// <summary>Body bytes the backend sent us, counted as they arrive.</summary>
    public long BytesReceived => _traffic.Values.Sum(static one => one.BytesReceived);

    /// <summary>Body bytes we sent to the backend, counted as the connection takes them.</summary>
    public long BytesSent => _traffic.Values.Sum(static one => one.BytesSent);

    /// <summary>The same by operation.</summary>
    public IEnumerable<Traffic> Bytes => _traffic.Values;

    /// <summary>Requests sent whose response headers have not arrived.</summary>
    public long InFlight => Volatile.Read(ref _inFlight);

    /// <summary>Further tries of our own reads.</summary>
    public long Retries => Volatile.Read(ref _retries);

    /// <summary>Reads asked a second time because the first answer was late.</summary>
    public long Hedges => Volatile.Read(ref _hedged);

    /// <summary>Of <see cref="Hedges"/>, those whose second answer came first.</summary>
    public long HedgesWon => Volatile.Read(ref _hedgesWon);

    /// <summary>Of <see cref="Hedges"/>, those asked for nothing: the first answer came after all, or neither did. What is left of them is running.</summary>
    public long HedgesLost => Volatile.Read(ref _hedgesLost);

    /// <summary>Reads of our own that failed (503, no answer) and came through on a later try: no client saw it.</summary>
    public long FailuresAbsorbed => Volatile.Read(ref _absorbed);

    /// <summary>Reads of our own given up because no turn came within <see cref="BackendHealthOptions.MaxWait"/>.</summary>
    public long NotAdmitted => Volatile.Read(ref _notAdmitted);

    /// <summary>Requests that failed at once because every endpoint was being left alone.</summary>
    public long NotReachable => Volatile.Read(ref _notReachable);

    /// <summary>Times an endpoint began to be left alone.</summary>
    public long BreakerOpenings => Volatile.Read(ref _breakerOpenings);

    /// <summary>All requests so far.</summary>
    public long Requests
    {
        get
        {
            long sum = 0;
            foreach (var row in _rows.Values)
            {
                sum += row.Count;
            }

            return sum;
        }
    }

    /// <summary>One row per operation and status seen. Status 0: no answer.</summary>
    public IEnumerable<Row> Rows => _rows.Values;

    internal void Begin() => Interlocked.Increment(ref _inFlight);

    internal void End(string operation, int status, TimeSpan untilHeaders)
    {
        Interlocked.Decrement(ref _inFlight);
        _rows.GetOrAdd((operation, status), static at => new Row(at.Operation, at.Status)).Add(untilHeaders.TotalSeconds);
    }

    internal Traffic TrafficOf(string operation) => _traffic.GetOrAdd(operation, static name => new Traffic(name));

    internal void Retried() => Interlocked.Increment(ref _retries);

    internal void Hedged() => Interlocked.Increment(ref _hedged);

    internal void HedgeEnded(bool won) => Interlocked.Increment(ref won ? ref _hedgesWon : ref _hedgesLost);

    internal void FailureAbsorbed() => Interlocked.Increment(ref _absorbed);

    internal void RefusedAdmission() => Interlocked.Increment(ref _notAdmitted);

    internal void RefusedUnreachable() => Interlocked.Increment(ref _notReachable);

    internal void BreakerOpened() => Interlocked.Increment(ref _breakerOpenings);

    /// <summary>Body bytes of one operation.</summary>
    /// <param name="Operation">As in <see cref="Row"/>.</param>
    public sealed record Traffic(string Operation)
    {
        private long _received;
        private long _sent;

        public long BytesReceived => Volatile.Read(ref _received);

        public long BytesSent => Volatile.Read(ref _sent);

        internal void Received(long bytes) => Interlocked.Add(ref _received, bytes);

        internal void Sent(long bytes) => Interlocked.Add(ref _sent, bytes);
    }

    /// <summary>Requests of one operation that ended with one status.</summary>
    /// <param name="Operation">S3's name, such as GetObject; Unknown when the proxy does not know it.</param>
    /// <param name="Status">HTTP status; 0 when there was no answer.</param>
    public sealed record Row(string Operation, int Status)
    {
        private readonly long[] _buckets = new long[Bounds.Length + 1];
        private long _count;
        private long _microseconds;

        public long Count => Volatile.Read(ref _count);

        /// <summary>Time to response headers, summed over all requests.</summary>
        public double Seconds => Volatile.Read(ref _microseconds) / 1e6;

        /// <summary>Not cumulative; see <see cref="LatencyBounds"/>.</summary>
        public IReadOnlyList<long> LatencyBuckets => _buckets;

        internal void Add(double seconds)
        {
            var at = 0;
            while (at < Bounds.Length && seconds > Bounds[at])
            {
                at++;
            }

            Interlocked.Increment(ref _buckets[at]);
            Interlocked.Add(ref _microseconds, (long)(seconds * 1e6));
            Interlocked.Increment(ref _count);
        }
    }
}
