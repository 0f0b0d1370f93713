using System.CommandLine;
using Proxy.Bench.Compare;

namespace Proxy.Bench.Commands;

/// <summary>The options of commands that measure a grid of works and connections in turns, and where its figures go.</summary>
internal sealed class GridOptions
{
    private readonly Option<int[]> _connections;
    private readonly Option<int?> _rounds = new Option<int?>("--rounds") { Description = "Turns of every server in every cell; default 3" }.AtLeast(1);
    private readonly Option<double?> _seconds = new Option<double?>("--seconds") { Description = "Measured time of a turn; default 3" }.Above(0);
    private readonly Option<double?> _warmup = new Option<double?>("--warmup") { Description = "Not counted before it; default 0.5" }.AtLeast(0);
    private readonly Option<int> _threads = new Option<int>("--threads") { Description = "Client threads", DefaultValueFactory = _ => Math.Min(2, Environment.ProcessorCount) }.AtLeast(1);
    private readonly Option<bool> _takesBodies = new("--take-bodies") { Description = "The client copies bodies into its memory, as real ones do, instead of dropping them in the kernel" };
    private readonly Option<int> _beside = new Option<int>("--beside") { Description = "Further connections that read whole objects all the while; rows are of the others" }.AtLeast(0);
    private readonly Option<FileInfo?> _json = new("--json") { Description = "Also write the result to this file" };
    private readonly Option<FileInfo?> _csv = OutputFiles.Csv();
    private readonly Option<FileInfo?> _html = OutputFiles.Html();
    private readonly Option<DirectoryInfo?> _png = OutputFiles.Png();

    /// <param name="connections">By default.</param>
    public GridOptions(params int[] connections)
        => _connections = new Option<int[]>("--connections") { Description = "Requests in flight, each a row", DefaultValueFactory = _ => connections, AllowMultipleArgumentsPerToken = true }
            .Must(values => values.All(value => value >= 1), "at least 1 each");

    public Option<int> Ports { get; } = Commands.Ports.Option(19900);

    public void AddTo(Command command)
    {
        Option[] options = [_connections, _rounds, _seconds, _warmup, _threads, _takesBodies, _beside, Ports, _json, _csv, _html, _png];
        foreach (var option in options)
        {
            command.Options.Add(option);
        }
    }

    /// <param name="isQuick">32 connections, two rounds of a second, where nothing else was said.</param>
    public CompareGrid Read(ParseResult values, IReadOnlyList<CompareWork> works, bool isQuick)
    {
        var connections = isQuick && values.GetResult(_connections) is not { Implicit: false } ? [32] : values.GetRequiredValue(_connections);
        return new CompareGrid(
            works, connections, values.GetValue(_rounds) ?? (isQuick ? 2 : 3),
            TimeSpan.FromSeconds(values.GetValue(_warmup) ?? (isQuick ? 0.3 : 0.5)), TimeSpan.FromSeconds(values.GetValue(_seconds) ?? (isQuick ? 1 : 3)), values.GetValue(_threads))
        {
            TakesBodies = values.GetValue(_takesBodies),
            Beside = values.GetValue(_beside),
        };
    }

    /// <summary>Writes the files that are asked for; also of a run that was interrupted: what was measured until then.</summary>
    public async Task SaveAsync(ParseResult values, CompareReport report)
    {
        if (values.GetValue(_json) is { } json)
        {
            await report.SaveJsonAsync(json, CancellationToken.None);
        }

        if (values.GetValue(_csv) is { } csv)
        {
            await report.SaveCsvAsync(csv, CancellationToken.None);
        }

        await OutputFiles.SaveAsync(report.Page, values.GetValue(_html), values.GetValue(_png));
    }
}
