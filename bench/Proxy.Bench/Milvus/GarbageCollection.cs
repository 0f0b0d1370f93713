using Proxy.Bench.Http;
using Proxy.Bench.Workloads;

namespace Proxy.Bench.Milvus;

/// <summary>W8: whole listings and single DELETEs with 100 in flight, while segments are reloaded; what that does to the reads.</summary>
internal static class GarbageCollection
{
    private const int Deleters = 100;
    private const string Alone = " alone";
    private const string Beside = " beside";

    public static async Task RunAsync(MilvusContext context, CancellationToken cancellation)
    {
        await context.EnsureLoadedAsync(cancellation);
        var small = Enumerable.Range(0, context.Scale.ListedObjects)
            .Select(number => context.Object($"{Folder(context)}/{455_000_000_000 + number}", 1000 + (number % 20_000), ObjectKind.DeltaLog)).ToList();
        await context.WriteAsync(small, 32, cancellation, context.Endpoint.Origin);

        context.Suffix = Alone;
        await context.MeasureAsync("reads alone", async () =>
        {
            using var enough = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
            enough.CancelAfter(context.Scale.Undisturbed);
            await ReloadUntilAsync(context, enough.Token, cancellation);
        });

        context.Suffix = Beside;
        using var over = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        var reading = ReloadUntilAsync(context, over.Token, cancellation);
        try
        {
            await ListAndDeleteAsync(context, small, cancellation);
        }
        finally
        {
            await over.CancelAsync();
            await reading;
        }

        foreach (var (name, operation) in context.Report.Operations.Where(pair => pair.Key is "GET" + Alone or "GET" + Beside))
        {
            context.Figures[$"{name} p99 ms"] = operation.MillisecondsAt(99);
        }
    }

    private static async Task ListAndDeleteAsync(MilvusContext context, List<DatasetObject> small, CancellationToken cancellation)
    {
        var keys = 0;
        var listing = await context.MeasureAsync("listing", async () => keys = await ListAsync(context, cancellation));
        context.Report.Check(keys == small.Count, () => $"listed {keys} of {small.Count} keys");
        context.Figures["listing keys/s"] = keys / listing.Seconds;

        var gone = small.Take(context.Scale.DeletedObjects).ToList();
        var deleting = await context.MeasureAsync("deleting", () => MilvusContext.ForEachAsync(gone, Deleters, context.DeleteAsync, cancellation));
        context.Figures["deleting keys/s"] = gone.Count / deleting.Seconds;
        var left = await ListAsync(context, cancellation);
        context.Report.Check(left == small.Count - gone.Count, () => $"listed {left} keys after all but {small.Count - gone.Count} were deleted");
    }

    // A segment of nobody's: no other delta logs lie there.
    private static string Folder(MilvusContext context) => $"delta_log/1001/1002/{9 + context.Generation}";

    /// <summary>Loads what is loaded again and again; what is under way when it is enough is finished.</summary>
    private static async Task ReloadUntilAsync(MilvusContext context, CancellationToken enough, CancellationToken cancellation)
    {
        while (!enough.IsCancellationRequested)
        {
            await MilvusContext.ForEachAsync(context.Segments, 16, (item, token) => enough.IsCancellationRequested ? Task.CompletedTask : context.LoadAsync(item, token), cancellation);
        }
    }

    private static async Task<int> ListAsync(MilvusContext context, CancellationToken cancellation)
    {
        var (keys, token) = (0, "");
        do
        {
            var prefix = Uri.EscapeDataString($"{context.Root}/{Folder(context)}/");
            var query = $"{(token.Length > 0 ? $"continuation-token={Uri.EscapeDataString(token)}&" : "")}delimiter=&encoding-type=url&fetch-owner=true&list-type=2&prefix={prefix}";
            var answer = await context.Clients.SendAsync(new S3Request("LIST", "GET", null) { Query = query }, cancellation);
            RunFailedException.Unless(answer.Status == 200, $"LIST answered {answer.Status}: {answer.Text}");
            keys += answer.Text.AsSpan().Count("<Key>");
            token = answer.Element("NextContinuationToken") ?? "";
        }
        while (token.Length > 0);
        return keys;
    }
}
