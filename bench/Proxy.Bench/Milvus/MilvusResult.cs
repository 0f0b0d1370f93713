using Proxy.Bench.Report;

namespace Proxy.Bench.Milvus;

/// <summary>What one round of a workload gave on one endpoint.</summary>
/// <param name="Number">From 1.</param>
/// <param name="HitRate">Share of reads that X-Cache called a hit, by seconds since the measured part began; empty for a server that does not say.</param>
/// <param name="Skipped">Why it did nothing; null when it did.</param>
internal sealed record MilvusRound(
    int Number, RunReport Report, IReadOnlyDictionary<string, double> Figures, IReadOnlyList<string> Parts, IReadOnlyList<Expectation> Expectations, IReadOnlyList<string> Notes,
    IReadOnlyList<(double Seconds, double Share)> HitRate, string? Skipped);

/// <summary>All rounds of a workload on one endpoint: the medians of its figures, the latencies of all of them together.</summary>
internal sealed class MilvusResult
{
    private readonly SortedDictionary<string, OperationStatistics> _operations = new(StringComparer.Ordinal);

    public MilvusResult(MilvusWorkload workload, MilvusEndpoint endpoint, IReadOnlyList<MilvusRound> rounds)
    {
        (Workload, Endpoint, Rounds) = (workload, endpoint, rounds);
        Figures = rounds.SelectMany(round => round.Figures.Keys).Distinct().ToDictionary(
            name => name, name => Median([.. rounds.Where(round => round.Figures.ContainsKey(name)).Select(round => round.Figures[name])]), StringComparer.Ordinal);
        foreach (var (name, statistics) in rounds.SelectMany(round => round.Report.Operations))
        {
            if (!_operations.TryGetValue(name, out var all))
            {
                _operations[name] = all = new OperationStatistics();
            }

            all.Add(statistics);
        }
    }

    public MilvusWorkload Workload { get; }

    public MilvusEndpoint Endpoint { get; }

    public IReadOnlyList<MilvusRound> Rounds { get; }

    /// <summary>Medians over the rounds, in the order the figures came.</summary>
    public IReadOnlyDictionary<string, double> Figures { get; }

    public IReadOnlyDictionary<string, OperationStatistics> Operations => _operations;

    public IReadOnlyList<string> Parts => [.. Rounds.SelectMany(round => round.Parts).Distinct()];

    public IReadOnlyList<string> Notes => [.. Rounds.SelectMany(round => round.Notes).Distinct()];

    /// <summary>Of all rounds; each is met only where every round met it, and otherwise says what the first one saw that did not.</summary>
    public IReadOnlyList<Expectation> Expectations =>
        [.. Rounds.SelectMany(round => round.Expectations).GroupBy(one => one.What).Select(ones => ones.FirstOrDefault(one => !one.IsMet) ?? ones.First())];

    public IReadOnlyList<string> Findings => [.. Rounds.SelectMany(round => round.Report.Findings)];

    public long Wrong => Rounds.Sum(round => round.Report.FindingCount);

    public long Checks => Rounds.Sum(round => round.Report.Checks);

    public long Retries => Rounds.Sum(round => round.Report.Retries.Values.Sum());

    public string? Skipped => Rounds.Select(round => round.Skipped).FirstOrDefault(why => why is not null);

    /// <returns>NaN when the operation was not measured.</returns>
    public double MillisecondsAt(string operation, double percentile) => _operations.TryGetValue(operation, out var statistics) ? statistics.MillisecondsAt(percentile) : double.NaN;

    /// <summary>The middle value; of an even number the mean of the two.</summary>
    private static double Median(double[] values)
    {
        Array.Sort(values);
        return (values[(values.Length - 1) / 2] + values[values.Length / 2]) / 2;
    }
}
