using System.Globalization;
using System.Text.Json;
using Proxy.Cache.Admin;
using Proxy.Cache.Metadata;
using Proxy.Server.Hosting;
using Spectre.Console;

namespace Proxy.Server.Admin;

/// <summary>What each <c>admin</c> subcommand asks and prints; its result is the exit code.</summary>
internal sealed class AdminSession(AdminClient client, bool asJson)
{
    private static readonly TimeSpan Poll = TimeSpan.FromMilliseconds(250);

    static AdminSession()
    {
        // Colours in a file or a pipe are noise.
        if (Console.IsOutputRedirected)
        {
            AnsiConsole.Profile.Capabilities.Ansi = false;
            AnsiConsole.Profile.Capabilities.ColorSystem = ColorSystem.NoColors;
        }
    }

    public async Task<int> PurgeAsync(KeySelection selection, CancellationToken cancellation)
    {
        var answer = await client.SendAsync(HttpMethod.Post, "/purge", selection, cancellation);
        return Print(answer, () => AnsiConsole.MarkupLineInterpolated($"[bold]{Text(answer, "objects")}[/] objects ({Size(answer, "bytes")}) under {Text(answer, "target")} forgotten."));
    }

    public async Task<int> WarmAsync(KeySelection selection, long? rate, int concurrency, bool wait, CancellationToken cancellation)
    {
        var body = new WarmBody(
            selection.Bucket, selection.Prefix, selection.Key, selection.Collection, selection.Partition, selection.Segment, selection.Build, rate, concurrency);
        var answer = await client.SendAsync(HttpMethod.Post, "/warm", body, cancellation);
        return wait
            ? await FollowAsync(Text(answer, "id"), cancellation)
            : Print(answer, () => AnsiConsole.MarkupLineInterpolated($"Job [bold]{Text(answer, "id")}[/] started. Watch it: admin jobs follow {Text(answer, "id")}"));
    }

    public async Task<int> FollowAsync(string id, CancellationToken cancellation)
    {
        WarmJobView? job = null;
        if (asJson)
        {
            while (job is not { IsOver: true })
            {
                job = await JobAsync(id, cancellation);
                await Task.Delay(job.IsOver ? TimeSpan.Zero : Poll, cancellation);
            }

            await Console.Out.WriteLineAsync(JsonSerializer.Serialize(job, AdminJson.Options));
            return ExitCode(job);
        }

        try
        {
            await AnsiConsole.Progress().AutoRefresh(true).HideCompleted(false)
                .Columns(new TaskDescriptionColumn { Alignment = Justify.Left }, new ProgressBarColumn(), new PercentageColumn(), new DownloadedColumn(), new TransferSpeedColumn(), new RemainingTimeColumn())
                .StartAsync(async context =>
                {
                    var bar = context.AddTask("listing", maxValue: 1);
                    while (job is not { IsOver: true })
                    {
                        job = await JobAsync(id, cancellation);
                        bar.Description = Markup.Escape($"{job.DoneObjects}/{job.Objects}{(job.Listed ? "" : "+")} objects");
                        bar.MaxValue = Math.Max(1, job.Bytes);
                        bar.Value = job.DoneBytes;
                        if (job is { IsOver: true, Bytes: 0 })
                        {
                            bar.Value = bar.MaxValue;
                        }

                        await Task.Delay(job.IsOver ? TimeSpan.Zero : Poll, cancellation);
                    }
                });
        }
        catch (OperationCanceledException) when (cancellation.IsCancellationRequested)
        {
            await Console.Error.WriteLineAsync($"The job goes on without you: admin jobs cancel {id} ends it.");
            throw;
        }

        var seconds = job!.Seconds.ToString("0.#", CultureInfo.InvariantCulture);
        AnsiConsole.MarkupLineInterpolated(
            $"[bold]{Words(job.State)}[/]: {job.DoneObjects} of {job.Objects} objects, {ByteSize.Format(job.DoneBytes)} ({ByteSize.Format(job.FetchedBytes)} fetched) in {seconds} s.");
        if (job.FailedObjects + job.PartlyObjects + job.SkippedObjects > 0 || job.Error is not null)
        {
            AnsiConsole.MarkupLineInterpolated($"{job.FailedObjects} failed, {job.PartlyObjects} did not stay whole, {job.SkippedObjects} are not cacheable or gone. {job.Error ?? ""}");
        }

        return ExitCode(job);
    }

    public async Task<int> PinAsync(KeySelection selection, CancellationToken cancellation)
    {
        var answer = await client.SendAsync(HttpMethod.Post, "/pins", selection, cancellation);
        return Print(answer, () => AnsiConsole.MarkupLineInterpolated($"Pin [bold]{Text(answer, "id")}[/] keeps {selection.ToString()}. It brings nothing by itself: admin warm does."));
    }

    public async Task<int> UnpinAsync(string id, CancellationToken cancellation)
    {
        await client.SendAsync(HttpMethod.Delete, "/pins/" + Uri.EscapeDataString(id), null, cancellation);
        if (!asJson)
        {
            AnsiConsole.MarkupLineInterpolated($"Pin {id} is gone.");
        }

        return 0;
    }

    public async Task<int> PinsAsync(CancellationToken cancellation)
    {
        var answer = await client.SendAsync(HttpMethod.Get, "/pins", null, cancellation);
        return Print(answer, () =>
        {
            var list = answer.Deserialize<PinList>(AdminJson.Options)!;
            var table = new Table().RoundedBorder().AddColumns("pin", "keeps", "since");
            foreach (var pin in list.Pins)
            {
                table.AddRow(new Text(pin.Id), new Text(pin.Selection.ToString()), new Text(pin.CreatedAt.ToString("u", CultureInfo.InvariantCulture)));
            }

            AnsiConsole.Write(table);
            AnsiConsole.MarkupLineInterpolated(
                $"{list.State.Objects} objects, {ByteSize.Format(list.State.Bytes)} of at most {ByteSize.Format(list.State.LimitBytes)}; {list.State.OverLimit} do not fit.");
        });
    }

    public async Task<int> CheckAsync(KeySelection selection, CancellationToken cancellation)
    {
        var answer = await client.SendAsync(HttpMethod.Get, "/check?" + Query(selection), null, cancellation);
        return Print(answer, () =>
        {
            var check = answer.Deserialize<CheckResult>(AdminJson.Options)!;
            AnsiConsole.Write(new BreakdownChart().Width(60).ShowPercentage()
                .AddItem("memory", Share(check.MemoryBytes, check.Bytes), Color.Green)
                .AddItem("NVMe", Share(check.NvmeBytes, check.Bytes), Color.Blue)
                .AddItem("not cached", Share(check.Bytes - check.MemoryBytes - check.NvmeBytes, check.Bytes), Color.Grey));
            AnsiConsole.MarkupLineInterpolated(
                $"[bold]{check.Percent.ToString("0.0", CultureInfo.InvariantCulture)} %[/] of {ByteSize.Format(check.Bytes)} under {check.Target} is cached; {check.CachedObjects} of {check.Objects} objects whole.");
        });
    }

    public async Task<int> ExplainAsync((string Bucket, string Key) id, CancellationToken cancellation)
    {
        var answer = await client.SendAsync(HttpMethod.Get, $"/explain?bucket={Uri.EscapeDataString(id.Bucket)}&key={Uri.EscapeDataString(id.Key)}", null, cancellation);
        return Print(answer, () =>
        {
            var report = answer.GetProperty("report");
            var grid = new Grid().AddColumns(2);
            Row("class", Text(report, "class"));
            Row("backend", Text(answer, "backend"));
            Row("known", Text(report, "known"));
            if (answer.TryGetProperty("cached", out var element) && element.Deserialize<CachedObject>(AdminJson.Options) is { } cached)
            {
                Row("size", $"{ByteSize.Format(cached.Size)} ({cached.Size} bytes)");
                Row("ETag", cached.ETag);
                Row("in memory", ByteSize.Format(cached.MemoryBytes));
                Row("on NVMe", ByteSize.Format(cached.NvmeBytes));
                var filled = report.TryGetProperty("filled", out var note) ? note.Deserialize<FillNote>(AdminJson.Options) : null;
                Row("filled", OriginWords.Filled(cached, filled, At));
                Row("learned from", OriginWords.Of(cached.Origin));
                Row("since", cached.LearnedAt is { } learned ? At(learned) : "before the last start");
                Row("reads", cached.Reads.ToString(CultureInfo.InvariantCulture));
                Row("last read", cached.LastRead is { } last ? At(last) : "-");
                Row("pinned", cached.Pinned ? "yes" : "no");
                Row("served without asking", Text(report, "fresh"));
            }

            AnsiConsole.Write(grid);

            void Row(string name, string value) => grid.AddRow(new Text(name, new Style(Color.Grey)), new Text(value));

            static string At(DateTimeOffset time) => time.ToString("u", CultureInfo.InvariantCulture);
        });
    }

    public async Task<int> StatsAsync(CancellationToken cancellation)
    {
        var answer = await client.SendAsync(HttpMethod.Get, "/stats", null, cancellation);
        return Print(answer, () =>
        {
            var stats = answer.Deserialize<AdminStats>(AdminJson.Options)!;
            var served = stats.Cache.Served;
            var all = served.Memory + served.Nvme + served.Backend;
            AnsiConsole.MarkupLineInterpolated($"Up {TimeSpan.FromSeconds(stats.UptimeSeconds):d\\.hh\\:mm\\:ss}, version {stats.Version}");
            AnsiConsole.Write(new BreakdownChart().Width(60).ShowPercentage()
                .AddItem("memory", Share(served.Memory, all), Color.Green).AddItem("NVMe", Share(served.Nvme, all), Color.Blue).AddItem("backend", Share(served.Backend, all), Color.Orange1));
            var table = new Table().RoundedBorder().AddColumns("tier", "used", "capacity", "blocks", "state");
            var memory = stats.Tiers.Memory;
            table.AddRow("memory", ByteSize.Format(memory.CachedBytes), ByteSize.Format(memory.CapacityBytes), $"{memory.Blocks}", "");
            foreach (var nvme in stats.Tiers.Nvme)
            {
                table.AddRow(new Text(nvme.Directory), new Text(ByteSize.Format(nvme.UsedBytes)), new Text(ByteSize.Format(nvme.CapacityBytes)), new Text($"{nvme.Blocks}"), new Text($"{nvme.State} {nvme.Reason}"));
            }

            AnsiConsole.Write(table);
            AnsiConsole.MarkupLineInterpolated($"Catalog {stats.Cache.CatalogEntries} keys ({ByteSize.Format(stats.Cache.CatalogBytes)}); pinned {ByteSize.Format(stats.Pins.Bytes)}.");
        });
    }

    public async Task<int> JobsAsync(CancellationToken cancellation)
    {
        var answer = await client.SendAsync(HttpMethod.Get, "/jobs", null, cancellation);
        return Print(answer, () =>
        {
            var table = new Table().RoundedBorder().AddColumns("job", "target", "state", "objects", "bytes", "%");
            foreach (var job in answer.Deserialize<List<WarmJobView>>(AdminJson.Options)!)
            {
                table.AddRow(
                    new Text(job.Id), new Text(job.Target), new Text(Words(job.State)), new Text($"{job.DoneObjects}/{job.Objects}"),
                    new Text($"{ByteSize.Format(job.DoneBytes)}/{ByteSize.Format(job.Bytes)}"), new Text(job.Percent.ToString("0", CultureInfo.InvariantCulture)));
            }

            AnsiConsole.Write(table);
        });
    }

    public async Task<int> CancelAsync(string id, CancellationToken cancellation)
    {
        var answer = await client.SendAsync(HttpMethod.Delete, "/jobs/" + Uri.EscapeDataString(id), null, cancellation);
        return Print(answer, () => AnsiConsole.MarkupLineInterpolated($"Job {id} is told to end."));
    }

    private async Task<WarmJobView> JobAsync(string id, CancellationToken cancellation)
        => (await client.SendAsync(HttpMethod.Get, "/jobs/" + Uri.EscapeDataString(id), null, cancellation)).Deserialize<WarmJobView>(AdminJson.Options)!;

    private int Print(JsonElement answer, Action forPeople)
    {
        if (asJson)
        {
            Console.Out.WriteLine(answer.GetRawText());
        }
        else
        {
            forPeople();
        }

        return 0;
    }

    private static int ExitCode(WarmJobView job) => job.State == WarmJobState.Completed ? 0 : 1;

    internal static string Words(WarmJobState state) => state == WarmJobState.CompletedPartly ? "completed, partly" : state.ToString().ToLowerInvariant();

    private static double Share(long part, long whole) => whole > 0 ? Math.Round(100.0 * part / whole, 1) : 0;

    private static string Text(JsonElement element, string name) => element.TryGetProperty(name, out var value) ? value.ToString() : "";

    private static string Size(JsonElement element, string name) => element.TryGetProperty(name, out var value) ? ByteSize.Format(value.GetInt64()) : "";

    private static string Query(KeySelection selection)
    {
        (string Name, string? Value)[] parts =
        [
            ("bucket", selection.Bucket), ("prefix", selection.Prefix), ("key", selection.Key), ("collection", Id(selection.Collection)), ("partition", Id(selection.Partition)),
            ("segment", Id(selection.Segment)), ("build", Id(selection.Build)),
        ];
        return string.Join('&', parts.Where(part => !string.IsNullOrEmpty(part.Value)).Select(part => $"{part.Name}={Uri.EscapeDataString(part.Value!)}"));

        static string? Id(long id) => id == 0 ? null : id.ToString(CultureInfo.InvariantCulture);
    }
}
