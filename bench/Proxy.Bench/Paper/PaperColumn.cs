using Proxy.Bench.Report;
using Proxy.Bench.Shape;

namespace Proxy.Bench.Paper;

/// <summary>One column of the paper's table: a kind of backend, asked directly or through the proxy, over all rounds.</summary>
internal sealed class PaperColumn(BackendProfile profile, bool isProxied)
{
    private readonly List<IReadOnlyDictionary<string, double>> _rounds = [];
    private readonly List<string> _findings = [];

    public string Name { get; } = isProxied ? $"{profile.Name} + proxy" : profile.Name;

    public BackendProfile Profile => profile;

    public bool IsProxied => isProxied;

    /// <summary>Figures by name, a round each.</summary>
    public IReadOnlyList<IReadOnlyDictionary<string, double>> Rounds => _rounds;

    /// <summary>Of all rounds.</summary>
    public OperationStatistics RandomReads { get; } = new();

    public long Checks { get; private set; }

    public long FindingCount { get; private set; }

    public IReadOnlyList<string> Findings => _findings;

    public void Add(IReadOnlyDictionary<string, double> figures, RunReport report)
    {
        _rounds.Add(figures);
        Checks += report.Checks;
        FindingCount += report.FindingCount;
        _findings.AddRange(report.Findings);
        if (report.Operations.TryGetValue(PaperRun.RandomRead, out var reads))
        {
            RandomReads.Add(reads);
        }
    }

    /// <returns>Null where no round has the figure.</returns>
    public double? Median(string figure)
    {
        var values = Values(figure);
        return values.Count == 0 ? null : (values[(values.Count - 1) / 2] + values[values.Count / 2]) / 2;
    }

    public (double Lowest, double Highest)? Range(string figure) => Values(figure) is { Count: > 0 } values ? (values[0], values[^1]) : null;

    private List<double> Values(string figure) => [.. _rounds.Where(round => round.ContainsKey(figure)).Select(round => round[figure]).Order()];
}
