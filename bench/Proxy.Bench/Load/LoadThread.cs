using System.ComponentModel;
using System.Diagnostics;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using HdrHistogram;
using Proxy.Bench.Http;

namespace Proxy.Bench.Load;

/// <summary>One thread of a load: some connections behind one epoll, counted into numbers of its own.</summary>
/// <remarks>
/// No tasks, no locks, no allocation per request. The thread runs between <see cref="Start"/> and <see cref="Join"/>; its counts are read after that.
/// </remarks>
internal sealed class LoadThread
{
    public const int ScratchBytes = 1 << 20;

    private const int EventCapacity = 256;
    private const int FindingsKept = 10;
    private static readonly TimeSpan DrainWithin = TimeSpan.FromSeconds(10);

    private readonly LoadRun _run;
    private readonly S3Target _target;
    private readonly List<LoadConnection> _connections = [];
    private readonly Thread _thread;
    private readonly int _firstSeed;
    private readonly int _connectionCount;

    public LoadThread(LoadRun run, S3Target target, LoadPlan plan, int connections, int firstSeed)
    {
        _run = run;
        _target = target;
        Plan = plan;
        _connectionCount = connections;
        _firstSeed = firstSeed;
        Writer = new RequestWriter(target, plan.Objects, TimeProvider.System);
        Counts = [.. Enum.GetValues<LoadOperation>().Select(_ => new OperationCounts())];
        _thread = new Thread(Run) { IsBackground = true, Name = "load" };
    }

    public LoadPlan Plan { get; }

    public RequestWriter Writer { get; }

    public byte[] RequestBuffer { get; } = GC.AllocateUninitializedArray<byte>(RequestWriter.RequestBytes, pinned: true);

    /// <summary>Where bodies go that are compared or taken, and where MSG_TRUNC would write if it did.</summary>
    public byte[] Scratch { get; } = GC.AllocateUninitializedArray<byte>(ScratchBytes, pinned: true);

    /// <summary>By <see cref="LoadOperation"/>.</summary>
    public OperationCounts[] Counts { get; }

    public List<string> Findings { get; } = [];

    public long FindingCount { get; private set; }

    public long CheckedBytes { get; private set; }

    public bool TakesBodies => _run.TakesBodies;

    /// <summary>False once it is over, or can go on no more.</summary>
    public bool IsAlive => _thread.IsAlive;

    public bool IsOver => _run.Phase == LoadPhase.Over;

    public void Start() => _thread.Start();

    public void Join() => _thread.Join();

    public void Record(in LoadRequest request, in ResponseHeader header, long started)
    {
        if (_run.Phase != LoadPhase.Measured)
        {
            return;
        }

        var ticks = Stopwatch.GetTimestamp() - started;
        var isHead = request.Operation == LoadOperation.Head;
        Counts[(int)request.Operation].Record(ticks, isHead ? 0 : header.ContentLength, header.Outcome);
        if (header.Status != (request.HasRange ? 206 : 200) || (isHead ? Plan.Objects[request.Item].Size : request.Length) != header.ContentLength)
        {
            Wrong($"{request.Operation} {Plan.Objects[request.Item].Key} from {request.Start}: status {header.Status}, {header.ContentLength} of {request.Length} bytes");
        }
    }

    public void Check(in LoadRequest request, ReadOnlySpan<byte> bytes, long offset)
    {
        CheckedBytes += bytes.Length;
        var difference = Plan.Objects[request.Item].Content.FirstDifference(bytes, offset);
        if (difference >= 0)
        {
            Wrong($"{request.Operation} {Plan.Objects[request.Item].Key}: byte {difference} differs");
        }
    }

    private void Run()
    {
        var epoll = Native.EpollCreate(0);
        try
        {
            if (epoll < 0)
            {
                throw new Win32Exception(Marshal.GetLastPInvokeError());
            }

            for (var i = 0; i < _connectionCount; i++)
            {
                _connections.Add(new LoadConnection(this, _target, _firstSeed + i, checksFirst: i == 0));
                Watch(epoll, i);
            }

            foreach (var connection in _connections)
            {
                connection.Begin();
            }

            Loop(epoll);
        }
        catch (Exception error) when (error is SocketException or Win32Exception or IOException)
        {
            Wrong(error.Message);
        }
        finally
        {
            _connections.ForEach(connection => connection.Dispose());
            if (epoll >= 0)
            {
                _ = Native.Close(epoll);
            }
        }
    }

    private unsafe void Watch(int epoll, int index)
    {
        var description = stackalloc byte[16];
        *(int*)description = Native.EpollIn;
        *(long*)(description + Native.EventDataOffset) = index;
        if (Native.EpollControl(epoll, Native.EpollAdd, _connections[index].Descriptor, description) != 0)
        {
            throw new Win32Exception(Marshal.GetLastPInvokeError());
        }
    }

    private unsafe void Loop(int epoll)
    {
        var events = stackalloc byte[EventCapacity * 16];
        var overSince = 0L;
        while (true)
        {
            var count = Native.EpollWait(epoll, events, EventCapacity, 100);
            for (var i = 0; i < count; i++)
            {
                var index = (int)*(long*)(events + (i * Native.EventBytes) + Native.EventDataOffset);
                var connection = _connections[index];
                bool isGone;
                try
                {
                    connection.Advance();
                    isGone = connection.IsClosed;
                }
                catch (BrokenResponseException error)
                {
                    Wrong(error.Message);
                    isGone = true;
                }

                if (isGone && IsOver)
                {
                    connection.Dispose();
                }
                else if (isGone)
                {
                    connection.Reconnect();
                    Watch(epoll, index);
                    connection.Begin();
                }
            }

            if (IsOver)
            {
                // Answers in flight are waited for: a reset would cost the server work in the next measurement's time.
                overSince = overSince == 0 ? Stopwatch.GetTimestamp() : overSince;
                var busy = _connections.Count(connection => connection.IsBusy);
                if (busy == 0)
                {
                    return;
                }

                if (Stopwatch.GetElapsedTime(overSince) > DrainWithin)
                {
                    // They are in no percentile: a server that forgets some must not look like one that answers all.
                    Wrong($"{busy} of {_connections.Count} connections still waited for an answer {DrainWithin.TotalSeconds:0} s after the measured time");
                    return;
                }
            }
        }
    }

    private void Wrong(string what)
    {
        if (++FindingCount <= FindingsKept)
        {
            Findings.Add(what);
        }
    }
}

/// <summary>What one thread counted of one operation.</summary>
internal sealed class OperationCounts
{
    /// <summary>Units of the histogram: tenths of a microsecond, up to a minute.</summary>
    public const int UnitsPerMillisecond = 10_000;

    private const long MostUnits = 60_000L * UnitsPerMillisecond;
    private static readonly double UnitsPerTick = UnitsPerMillisecond * 1000.0 / Stopwatch.Frequency;

    public LongHistogram Latencies { get; } = new(1, MostUnits, 3);

    /// <summary>By <see cref="CacheOutcome"/>.</summary>
    public long[] Outcomes { get; } = new long[Enum.GetValues<CacheOutcome>().Length];

    public long Requests { get; private set; }

    public long Bytes { get; private set; }

    public void Record(long ticks, long bytes, CacheOutcome outcome)
    {
        Latencies.RecordValue(Math.Clamp((long)(ticks * UnitsPerTick), 1, MostUnits));
        Requests++;
        Bytes += bytes;
        Outcomes[(int)outcome]++;
    }

    public void Add(OperationCounts other)
    {
        Latencies.Add(other.Latencies);
        Requests += other.Requests;
        Bytes += other.Bytes;
        for (var i = 0; i < Outcomes.Length; i++)
        {
            Outcomes[i] += other.Outcomes[i];
        }
    }

    public double Milliseconds(double percentile) => Requests == 0 ? 0 : Latencies.GetValueAtPercentile(percentile) / (double)UnitsPerMillisecond;
}
