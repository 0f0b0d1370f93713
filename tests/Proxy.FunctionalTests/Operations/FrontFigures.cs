using System.Diagnostics;
using System.Globalization;
using Proxy.FunctionalTests.Backends;
using Proxy.FunctionalTests.Hosting;

namespace Proxy.FunctionalTests.Operations;

/// <summary>What the front and the local store cost beside the disk itself: figures for a quiet machine, run by hand (<c>-explicit only -showLiveOutput</c>).</summary>
public sealed class FrontFigures(ITestOutputHelper output)
{
    private const int WarmUps = 300;

    [Fact(Explicit = true)]
    public async Task SmallPut_BesideTheSameFlush()
    {
        await using var proxy = await ProxyProcess.StartAsync();
        using var s3 = new S3Caller(proxy.Endpoint);
        (await s3.PutAsync("/figures", [])).Ok();
        var body = SeveralBackendsTests.MakeBytes(4 << 10);
        for (var i = 0; i < WarmUps; i++)
        {
            (await s3.PutAsync($"/figures/warm-{i}", body)).Ok();
        }

        // In turns: whatever else runs disturbs both.
        var (puts, flushes) = (new List<double>(), new List<double>());
        await using var file = new FileStream(Path.Combine(proxy.DataDirectory, "raw"), FileMode.Create, FileAccess.Write, FileShare.None, bufferSize: 0);
        for (var i = 0; i < 400; i++)
        {
            var started = Stopwatch.GetTimestamp();
            (await s3.PutAsync($"/figures/one-{i}", body)).Ok();
            puts.Add(Stopwatch.GetElapsedTime(started).TotalMilliseconds);
            started = Stopwatch.GetTimestamp();
            file.Write(body);
            file.Flush(flushToDisk: true);
            flushes.Add(Stopwatch.GetElapsedTime(started).TotalMilliseconds);
        }

        Tell("4 KiB PUT, one client", Median(puts), "the same write and flush", Median(flushes));
        foreach (var clients in (int[])[1, 4, 16, 64])
        {
            var started = Stopwatch.GetTimestamp();
            await Task.WhenAll(Enumerable.Range(0, clients).Select(async client =>
            {
                for (var i = 0; i < 100; i++)
                {
                    (await s3.PutAsync($"/figures/{clients}-{client}-{i}", body)).Ok();
                }
            }));
            output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"4 KiB PUT, {clients} clients: {clients * 100 / Stopwatch.GetElapsedTime(started).TotalSeconds:0} a second"));
        }
    }

    [Fact(Explicit = true)]
    public async Task Parts_BesideASequentialWrite()
    {
        const int Parts = 24;
        await using var proxy = await ProxyProcess.StartAsync();
        using var s3 = new S3Caller(proxy.Endpoint);
        (await s3.PutAsync("/figures", [])).Ok();
        var part = SeveralBackendsTests.MakeBytes(16 << 20);
        for (var round = 0; round < 4; round++)
        {
            var upload = (await s3.SendAsync("POST", $"/figures/large-{round}?uploads", [])).Ok().Only("UploadId");
            var started = Stopwatch.GetTimestamp();
            await Parallel.ForEachAsync(Enumerable.Range(1, Parts), new ParallelOptions { MaxDegreeOfParallelism = 4 }, async (number, _) =>
                (await s3.PutAsync($"/figures/large-{round}?partNumber={number}&uploadId={upload}", part)).Ok());
            var parts = Stopwatch.GetElapsedTime(started).TotalSeconds;
            started = Stopwatch.GetTimestamp();
            await using (var file = new FileStream(Path.Combine(proxy.DataDirectory, $"raw-{round}"), FileMode.Create, FileAccess.Write, FileShare.None, bufferSize: 0))
            {
                for (var i = 0; i < Parts; i++)
                {
                    file.Write(part);
                    file.Flush(flushToDisk: true);
                }
            }

            var raw = Stopwatch.GetElapsedTime(started).TotalSeconds;
            output.WriteLine(string.Create(
                CultureInfo.InvariantCulture, $"16 MiB parts, 4 at once: {Parts * 16 / parts:0} MiB/s; written and flushed one after the other: {Parts * 16 / raw:0} MiB/s; ratio {raw / parts:0.00}"));
        }
    }

    [Fact(Explicit = true)]
    public async Task List_OfManyKeys()
    {
        const int Keys = 200_000;
        await using var proxy = await ProxyProcess.StartAsync();
        using var s3 = new S3Caller(proxy.Endpoint);
        (await s3.PutAsync("/figures", [])).Ok();
        var started = Stopwatch.GetTimestamp();
        await Parallel.ForEachAsync(Enumerable.Range(0, Keys), new ParallelOptions { MaxDegreeOfParallelism = 128 }, async (i, _) =>
            (await s3.PutAsync(string.Create(CultureInfo.InvariantCulture, $"/figures/files/insert_log/{i / 1000}/{i:D8}"), [])).Ok());
        output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{Keys} empty PUTs by 128 clients: {Keys / Stopwatch.GetElapsedTime(started).TotalSeconds:0} a second"));
        for (var round = 0; round < 3; round++)
        {
            var before = ResidentBytes(proxy);
            started = Stopwatch.GetTimestamp();
            var (count, token) = (0, "");
            do
            {
                var page = (await s3.GetAsync("/figures?" + (token.Length == 0 ? "" : $"continuation-token={Uri.EscapeDataString(token)}&") + "list-type=2")).Ok();
                var text = page.Text;
                count += System.Text.RegularExpressions.Regex.Count(text, "<Key>");
                token = text.Contains("<NextContinuationToken>", StringComparison.Ordinal) ? page.Only("NextContinuationToken") : "";
            }
            while (token.Length > 0);

            var seconds = Stopwatch.GetElapsedTime(started).TotalSeconds;
            Assert.Equal(Keys, count);
            output.WriteLine(string.Create(
                CultureInfo.InvariantCulture, $"{count} keys listed in pages of 1000, client's reading included: {count / seconds:0} a second; resident memory {before >> 20} -> {ResidentBytes(proxy) >> 20} MiB"));
        }
    }

    private void Tell(string what, double took, string beside, double raw) =>
        output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{what}: {took:0.000} ms; {beside}: {raw:0.000} ms; ratio {took / raw:0.00}"));

    private static double Median(List<double> values) => values.Order().ElementAt(values.Count / 2);

    private static long ResidentBytes(ProxyProcess proxy)
    {
        using var process = Process.GetProcessById(proxy.ProcessId);
        return process.WorkingSet64;
    }
}
