using System.Globalization;
using System.Text.RegularExpressions;

namespace Proxy.FunctionalTests.Telemetry;

/// <summary>A read /metrics page (Prometheus text format 0.0.4, as far as the proxy writes it).</summary>
internal sealed partial class MetricsPage
{
    private readonly List<(string Name, string Labels, double Value)> _samples = [];

    public MetricsPage(string text)
    {
        Text = text;
        foreach (var line in text.Split('\n', StringSplitOptions.RemoveEmptyEntries))
        {
            if (line.StartsWith("# HELP ", StringComparison.Ordinal))
            {
                var parts = line.Split(' ', 4);
                Families[parts[2]] = new Family(parts[2], "", parts[3]);
            }
            else if (line.StartsWith("# TYPE ", StringComparison.Ordinal))
            {
                var parts = line.Split(' ');
                Families[parts[2]] = Families[parts[2]] with { Type = parts[3] };
            }
            else if (Sample().Match(line) is { Success: true } sample)
            {
                _samples.Add((sample.Groups["name"].Value, sample.Groups["labels"].Value, double.Parse(sample.Groups["value"].Value, CultureInfo.InvariantCulture)));
            }
        }
    }

    public string Text { get; }

    public Dictionary<string, Family> Families { get; } = new(StringComparer.Ordinal);

    /// <summary>Names that a query may use: histograms by their parts.</summary>
    public IEnumerable<string> SeriesNames => _samples.Select(sample => sample.Name).Distinct(StringComparer.Ordinal);

    /// <summary>Labels of a family, in the order they are written; a histogram's le is not one of them.</summary>
    public IReadOnlyList<string> LabelsOf(string family) =>
        [.. _samples.Where(sample => sample.Name == family || sample.Name == family + "_count").Take(1)
            .SelectMany(sample => LabelName().Matches(sample.Labels).Select(match => match.Groups["name"].Value))];

    /// <summary>Sum over all series of a name whose labels contain every given <c>name="value"</c>.</summary>
    public double Sum(string name, params string[] labels) =>
        _samples.Where(sample => sample.Name == name && labels.All(label => sample.Labels.Contains(label, StringComparison.Ordinal))).Sum(sample => sample.Value);

    public int SeriesCount(string name) => _samples.Count(sample => sample.Name == name);

    [GeneratedRegex(@"^(?<name>[a-zA-Z_:][a-zA-Z0-9_:]*)(\{(?<labels>.*)\})? (?<value>\S+)$", RegexOptions.ExplicitCapture, 5000)]
    private static partial Regex Sample();

    [GeneratedRegex(@"(?<name>[a-zA-Z_][a-zA-Z0-9_]*)=""", RegexOptions.ExplicitCapture, 5000)]
    private static partial Regex LabelName();

    public sealed record Family(string Name, string Type, string Help);
}
