using Proxy.Bench.Load;
using Proxy.Bench.Report;

namespace Proxy.Bench.Compare;

/// <summary>One kind of work of the grid.</summary>
/// <param name="RangeBytes">Of a range read; 0 for HEAD and whole objects.</param>
internal sealed record CompareWork(string Name, LoadOperation Operation, long RangeBytes)
{
    public static IReadOnlyList<CompareWork> All { get; } =
    [
        new("HEAD", LoadOperation.Head, 0),
        new("4 KiB", LoadOperation.Range, 4 << 10),
        new("64 KiB", LoadOperation.Range, 64 << 10),
        new("256 KiB", LoadOperation.Range, 256 << 10),
        new("1 MiB", LoadOperation.Range, 1 << 20),
        new("16 MiB", LoadOperation.Get, 0),
    ];
}

/// <summary>What one server did in one cell of the grid, over all rounds.</summary>
internal sealed class CompareCell(string server, CompareWork work, int connections)
{
    /// <summary>Capacity is what two cores could serve, client and server together: the figure another tenant of the machine disturbs least.</summary>
    private const double CapacityCores = 2;

    private readonly List<Round> _rounds = [];
    private readonly OperationCounts _sum = new();
    private readonly List<double> _beside = [];

    public string Server => server;

    public CompareWork Work => work;

    public int Connections => connections;

    public double RequestsPerSecond => Median(round => round.Requests / round.Seconds);

    public double MebibytesPerSecond => Median(round => round.Bytes / round.Seconds / (1 << 20));

    public double ServerMicroseconds => Median(round => round.ServerCpu * 1e6 / round.Requests);

    public double ClientMicroseconds => Median(round => round.ClientCpu * 1e6 / round.Requests);

    public double Capacity => Median(round => round.Capacity);

    /// <summary>CPU seconds of the server for a GiB of bodies; 0 for HEAD.</summary>
    public double ServerSecondsPerGibibyte => _sum.Bytes == 0 ? 0 : Median(round => round.ServerCpu / (round.Bytes / (double)(1 << 30)));

    /// <summary>Lowest and highest capacity of the rounds: how far to trust the median.</summary>
    public (double Lowest, double Highest) CapacityRange => _rounds.Count == 0 ? (0, 0) : (_rounds.Min(round => round.Capacity), _rounds.Max(round => round.Capacity));

    /// <summary>What the rest of the machine used meanwhile, in cores.</summary>
    public double ForeignCores => Median(round => round.ForeignCores);

    public long Requests => _sum.Requests;

    public long ResidentBytes { get; private set; }

    /// <summary>Requests the origin was asked while measured: not 0 means that not all was hot.</summary>
    public long OriginRequests { get; private set; }

    public string Outcomes => LoadReport.Outcomes(_sum);

    /// <summary>Latencies of all rounds together.</summary>
    public LatencyCurve Curve => new(server, _sum.Requests, _sum.Milliseconds);

    /// <summary>What the connections beside it read meanwhile; null where there were none.</summary>
    public double? BesideMebibytesPerSecond => _beside.Count == 0 ? null : MedianOf(_beside);

    public double Milliseconds(double percentile) => _sum.Milliseconds(percentile);

    /// <param name="beside">Of the connections beside it.</param>
    public void Add(LoadResult result, long residentBytes, long originRequests, LoadResult? beside = null)
    {
        if (beside is not null)
        {
            _beside.Add(beside.Bytes / beside.Seconds / (1 << 20));
        }

        var counts = result.Operations.GetValueOrDefault(work.Operation) ?? new OperationCounts();
        _sum.Add(counts);
        if (counts.Requests > 0)
        {
            _rounds.Add(new Round(counts.Requests, counts.Bytes, result.Seconds, result.ServerCpuSeconds, result.ClientCpuSeconds, result.ForeignCores));
        }

        ResidentBytes = Math.Max(ResidentBytes, residentBytes);
        OriginRequests += originRequests;
    }

    private double Median(Func<Round, double> of) => MedianOf(_rounds.Select(of));

    private static double MedianOf(IEnumerable<double> figures)
    {
        var values = figures.Order().ToList();
        return values.Count == 0 ? 0 : (values[(values.Count - 1) / 2] + values[values.Count / 2]) / 2;
    }

    private sealed record Round(long Requests, long Bytes, double Seconds, double ServerCpu, double ClientCpu, double ForeignCores)
    {
        public double Capacity => CapacityCores * Requests / Math.Max(0.001, ServerCpu + ClientCpu);
    }
}
