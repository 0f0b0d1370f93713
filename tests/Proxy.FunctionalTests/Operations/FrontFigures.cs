using System.Diagnostics;
using System.Globalization;
using System.Net.Sockets;
using System.Text;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Win32.SafeHandles;
using Proxy.Backends.Local;
using Proxy.FunctionalTests.Hosting;
using Proxy.FunctionalTests.Operations.Wire;
using Proxy.S3.Objects;

namespace Proxy.FunctionalTests.Operations;

/// <summary>What the front and the local store cost beside the disk itself: figures for a quiet machine, run by hand (<c>-explicit only -showLiveOutput</c>).</summary>
/// <remarks>Whatever is compared is measured in turns, so that what else runs disturbs both sides; medians are told.</remarks>
public sealed class FrontFigures(ITestOutputHelper output)
{
    /// <summary>SQLite's frame in the log: a header and a page, written one after the other.</summary>
    private const int FrameHeader = 24;
    private const int Page = 4096;

    /// <summary>More than the log grows to before it starts over: afterwards writes go over blocks that the file has already.</summary>
    private const int WarmUps = 2500;

    [Fact(Explicit = true)]
    public async Task SmallPut_BesideTheSameWritesAndFlush()
    {
        await using var proxy = await ProxyProcess.StartAsync();
        await using var unflushed = await ProxyProcess.StartAsync(["--set", "Local:Fsync=false"]);
        await using var s3 = new S3Wire(proxy.Endpoint, "figures");
        await using var other = new S3Wire(unflushed.Endpoint, "figures");
        (await s3.SendAsync("PUT", "")).Expect(200);
        (await other.SendAsync("PUT", "")).Expect(200);
        using var client = new FlatClient(s3);
        using var unflushedClient = new FlatClient(other);
        var body = new byte[4 << 10];

        // The log only grows here, so its growth is what one PUT writes to it.
        var log = new FileInfo(Path.Combine(proxy.DataDirectory, "store", "index.db-wal"));
        Assert.True(log.Exists, "the log is elsewhere");
        var before = log.Length;
        for (var i = 0; i < 100; i++)
        {
            client.Time($"/first-{i}", body);
        }

        log.Refresh();
        var frames = (int)Math.Round((log.Length - before) / 100.0 / (FrameHeader + Page));
        for (var i = 0; i < WarmUps; i++)
        {
            client.Time($"/warm-{i}", body);
            unflushedClient.Time($"/warm-{i}", body);
            client.Time(client.Encode("GET", "?location", []));
        }

        // The store alone, called as the front calls it: what is left of the front is HTTP, signature, digests and the cache's copy.
        await using var store = LocalObjectStore.Open(new LocalOptions { Directory = Path.Combine(proxy.DataDirectory, "alone") }, TimeProvider.System, NullLoggerFactory.Instance);
        await store.CreateBucketAsync("figures", TestContext.Current.CancellationToken);
        for (var i = 0; i < WarmUps; i++)
        {
            await TimeStoreAsync(store, $"warm-{i}", body);
        }

        using var file = File.OpenHandle(Path.Combine(proxy.DataDirectory, "raw"), FileMode.CreateNew, FileAccess.ReadWrite);
        RandomAccess.Write(file, new byte[16 << 20], 0);
        RandomAccess.FlushToDisk(file);
        var (puts, flushes, turns, questions, stored) = (new List<double>(), new List<double>(), new List<double>(), new List<double>(), new List<double>());
        for (var i = 0; i < 1500; i++)
        {
            puts.Add(client.Time($"/one-{i}", body));
            flushes.Add(TimeSameWrites(file, i, frames));
            stored.Add(await TimeStoreAsync(store, $"one-{i}", body));
            turns.Add(unflushedClient.Time($"/one-{i}", body));
            questions.Add(client.Time(client.Encode("GET", "?location", [])));
        }

        Tell($"4 KiB PUT, one client: {Ms(puts)}; the same {frames} x ({FrameHeader} + {Page}) bytes written over and one flush: {Ms(flushes)}; ratio {Median(puts) / Median(flushes):0.00}");
        Tell($"the store's own PUT, in this process: {Ms(stored)}; ratio {Median(stored) / Median(flushes):0.00}");
        Tell($"the same PUT into a store that does not flush: {Ms(turns)}; a question about the bucket, which reads nothing: {Ms(questions)}");
        foreach (var clients in (int[])[1, 4, 16, 64])
        {
            var connections = Enumerable.Range(0, clients).Select(_ => new FlatClient(s3)).ToArray();
            var each = clients == 1 ? 1000 : 300;
            var started = Stopwatch.GetTimestamp();
            var threads = connections.Select((connection, number) => new Thread(() =>
            {
                for (var i = 0; i < each; i++)
                {
                    connection.Time($"/{clients}-{number}-{i}", body);
                }
            })).ToList();
            threads.ForEach(static thread => thread.Start());
            threads.ForEach(static thread => thread.Join());
            Tell($"4 KiB PUT, {clients} clients: {clients * each / Stopwatch.GetElapsedTime(started).TotalSeconds:0} a second");
            Array.ForEach(connections, static connection => connection.Dispose());
        }
    }

    [Theory(Explicit = true)]
    [InlineData("512MiB")]
    [InlineData("0")]
    public async Task Parts_BesideASequentialWrite(string nvme)
    {
        const int PartBytes = 16 << 20;
        const int Together = 4;
        const int WarmUpRounds = 8;
        await using var proxy = await ProxyProcess.StartAsync(["--nvme", nvme]);
        await using var s3 = new S3Wire(proxy.Endpoint, "figures");
        (await s3.SendAsync("PUT", "")).Expect(200);
        var part = new byte[PartBytes];
        new Random(1).NextBytes(part);
        var upload = await s3.CreateUploadAsync("/large");
        var clients = Enumerable.Range(0, Together).Select(_ => new FlatClient(s3)).ToArray();
        var number = 0;
        var (ours, raw, ratios) = (new List<double>(), new List<double>(), new List<double>());
        using var process = Process.GetProcessById(proxy.ProcessId);
        var cpu = TimeSpan.Zero;
        for (var round = 0; round < 30; round++)
        {
            // 1. Four parts at once, signed before the clock runs: hashing is the client's.
            var requests = clients.Select(client => client.Encode("PUT", $"/large?partNumber={++number}&uploadId={upload}", part)).ToArray();
            process.Refresh();
            var before = process.TotalProcessorTime;
            var started = Stopwatch.GetTimestamp();
            var threads = clients.Select((client, i) => new Thread(() => client.Time(requests[i]))).ToList();
            threads.ForEach(static thread => thread.Start());
            threads.ForEach(static thread => thread.Join());
            var took = Stopwatch.GetElapsedTime(started).TotalSeconds;
            process.Refresh();
            cpu += round >= WarmUpRounds ? process.TotalProcessorTime - before : TimeSpan.Zero;

            // 2. As many bytes into one new file, one after the other, each flushed: no part is acknowledged before.
            started = Stopwatch.GetTimestamp();
            using (var file = File.OpenHandle(Path.Combine(proxy.DataDirectory, $"raw-{round}"), FileMode.CreateNew, FileAccess.Write))
            {
                for (var i = 0; i < Together; i++)
                {
                    RandomAccess.Write(file, part, (long)i * PartBytes);
                    RandomAccess.FlushToDisk(file);
                }
            }

            var sequential = Stopwatch.GetElapsedTime(started).TotalSeconds;
            File.Delete(Path.Combine(proxy.DataDirectory, $"raw-{round}"));
            if (round >= WarmUpRounds)
            {
                ours.Add(Together * 16 / took);
                raw.Add(Together * 16 / sequential);
                ratios.Add(sequential / took);
            }
        }

        Tell($"16 MiB parts, {Together} at once, NVMe {nvme}: {Median(ours):0} MiB/s; written and flushed one after the other: {Median(raw):0} MiB/s; ratio, median of {ratios.Count} pairs: {Median(ratios):0.00}, quartiles {Quantile(ratios, 0.25):0.00} and {Quantile(ratios, 0.75):0.00}; the server's CPU {cpu.TotalMilliseconds / (ratios.Count * Together):0} ms a part");
        Array.ForEach(clients, static client => client.Dispose());
    }

    [Fact(Explicit = true)]
    public async Task WalPut_Forwarded_BesideTheBackendItself()
    {
        // The backend does not flush: what it takes should be as little as can be, for what is added to show.
        await using var backend = await ProxyProcess.StartAsync(["--nvme", "0", "--set", "Local:Fsync=false"]);
        await using var proxy = await ProxyProcess.StartAsync(backend: backend.Endpoint);
        await using var direct = new S3Wire(backend.Endpoint, "figures");
        await using var proxied = new S3Wire(proxy.Endpoint, "figures");
        (await direct.SendAsync("PUT", "")).Expect(200);
        using var directClient = new FlatClient(direct);
        using var proxiedClient = new FlatClient(proxied);
        var body = new byte[4 << 10];
        var (there, here, added) = (new List<double>(), new List<double>(), new List<double>());
        for (var i = 0; i < WarmUps + 1500; i++)
        {
            var (one, two) = (directClient.Time($"/wp/direct-{i}", body, ("If-None-Match", "*")), proxiedClient.Time($"/wp/proxied-{i}", body, ("If-None-Match", "*")));
            if (i >= WarmUps)
            {
                there.Add(one);
                here.Add(two);
                added.Add(two - one);
            }
        }

        Tell($"4 KiB PUT with If-None-Match: *, to the backend itself: {Ms(there)}; through the proxy: {Ms(here)}; added, median of pairs: {Median(added):0.000} ms");
    }

    [Fact(Explicit = true)]
    public async Task List_OfAMillionKeys()
    {
        const int Keys = 1_000_000;
        const int Clients = 64;
        await using var proxy = await ProxyProcess.StartAsync(["--set", "Local:Fsync=false"]);
        await using var s3 = new S3Wire(proxy.Endpoint, "figures");
        (await s3.SendAsync("PUT", "")).Expect(200);
        var started = Stopwatch.GetTimestamp();
        var next = -1;
        var threads = Enumerable.Range(0, Clients).Select(_ => new Thread(() =>
        {
            using var client = new FlatClient(s3);
            for (var i = Interlocked.Increment(ref next); i < Keys; i = Interlocked.Increment(ref next))
            {
                client.Time(string.Create(CultureInfo.InvariantCulture, $"/files/insert_log/{i / 1000}/{i:D8}"), []);
            }
        })).ToList();
        threads.ForEach(static thread => thread.Start());
        threads.ForEach(static thread => thread.Join());
        Tell($"{Keys} empty PUTs by {Clients} clients, not flushed: {Keys / Stopwatch.GetElapsedTime(started).TotalSeconds:0} a second");
        using var lister = new FlatClient(s3);
        foreach (var (what, query, expected) in ((string, string, int)[])[("all keys, V2", "", Keys), ("folders of 1000 keys, V2 with a delimiter", "&delimiter=/&prefix=files/insert_log/", Keys / 1000)])
        {
            for (var round = 1; round <= 8; round++)
            {
                var before = ResidentMiB(proxy);
                var (count, pages, token) = (0, 0, "");
                started = Stopwatch.GetTimestamp();
                do
                {
                    var page = lister.Send(lister.Encode("GET", $"?list-type=2&max-keys=1000{query}" + (token.Length == 0 ? "" : $"&continuation-token={Uri.EscapeDataString(token)}"), []));
                    count += Count(page, "<Key>"u8) + Count(page, "<CommonPrefixes>"u8);
                    pages++;
                    token = Between(page, "<NextContinuationToken>"u8, "</NextContinuationToken>"u8);
                }
                while (token.Length > 0);

                var seconds = Stopwatch.GetElapsedTime(started).TotalSeconds;
                Assert.Equal(expected, count);
                Tell($"{what}, listing {round}: {count} names in {pages} pages, {seconds * 1000:0.0} ms, {count / seconds:0} names a second; resident memory {before} -> {ResidentMiB(proxy)} MiB");
            }
        }
    }

    private void Tell(FormattableString text) => output.WriteLine(text.ToString(CultureInfo.InvariantCulture));

    /// <summary>On a thread of the pool, where the front's are.</summary>
    private static Task<double> TimeStoreAsync(LocalObjectStore store, string key, byte[] body) => Task.Run(async () =>
    {
        var started = Stopwatch.GetTimestamp();
        await store.PutObjectAsync(new ObjectId("figures", key), new UploadContent(new MemoryStream(body), body.Length, static () => null), new PutOptions(), CancellationToken.None);
        return Stopwatch.GetElapsedTime(started).TotalMilliseconds;
    });

    private static double TimeSameWrites(SafeFileHandle file, int turn, int frames)
    {
        var (header, page) = (new byte[FrameHeader], new byte[Page]);
        var offset = (long)turn * frames * (FrameHeader + Page) % (15 << 20);
        var started = Stopwatch.GetTimestamp();
        for (var i = 0; i < frames; i++)
        {
            RandomAccess.Write(file, header, offset);
            RandomAccess.Write(file, page, offset + FrameHeader);
            offset += FrameHeader + Page;
        }

        RandomAccess.FlushToDisk(file);
        return Stopwatch.GetElapsedTime(started).TotalMilliseconds;
    }

    private static string Ms(List<double> values) =>
        string.Create(CultureInfo.InvariantCulture, $"p50 {Median(values):0.000}, p90 {Quantile(values, 0.9):0.000} ms");

    private static double Median(List<double> values) => Quantile(values, 0.5);

    private static double Quantile(List<double> values, double quantile) => values.Order().ElementAt((int)(values.Count * quantile));

    private static int Count(ReadOnlySpan<byte> text, ReadOnlySpan<byte> element)
    {
        var count = 0;
        for (int at; (at = text.IndexOf(element)) >= 0; text = text[(at + element.Length)..])
        {
            count++;
        }

        return count;
    }

    private static string Between(ReadOnlySpan<byte> text, ReadOnlySpan<byte> open, ReadOnlySpan<byte> close)
    {
        var at = text.IndexOf(open);
        return at < 0 ? "" : Encoding.UTF8.GetString(text[(at + open.Length)..][..text[(at + open.Length)..].IndexOf(close)]);
    }

    private static long ResidentMiB(ProxyProcess proxy)
    {
        using var process = Process.GetProcessById(proxy.ProcessId);
        return process.WorkingSet64 >> 20;
    }

    /// <summary>A client that costs next to nothing: one blocking socket, requests made and signed before the clock starts. Used by one thread.</summary>
    private sealed class FlatClient : IDisposable
    {
        private readonly S3Wire _s3;
        private readonly Socket _socket = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        private byte[] _buffer = new byte[1 << 20];

        public FlatClient(S3Wire s3)
        {
            _s3 = s3;
            _socket.Connect(s3.Endpoint.Host, s3.Endpoint.Port);
        }

        public byte[] Encode(string method, string path, byte[] body, params (string Name, string Value)[] headers)
        {
            var (head, framed) = _s3.Encode(new WireRequest(method, $"/{_s3.Bucket}{path}") { Body = body, Headers = S3Wire.Pairs(headers) });
            return [.. head, .. framed];
        }

        public double Time(string path, byte[] body, params (string Name, string Value)[] headers) => Time(Encode("PUT", path, body, headers));

        /// <returns>Milliseconds until the answer had come.</returns>
        public double Time(byte[] request)
        {
            var started = Stopwatch.GetTimestamp();
            Send(request);
            return Stopwatch.GetElapsedTime(started).TotalMilliseconds;
        }

        /// <returns>The answer's body, until the next call.</returns>
        public ReadOnlySpan<byte> Send(byte[] request)
        {
            for (var sent = 0; sent < request.Length;)
            {
                sent += _socket.Send(request, sent, request.Length - sent, SocketFlags.None);
            }

            var filled = 0;
            while (true)
            {
                filled += _socket.Receive(_buffer, filled, _buffer.Length - filled, SocketFlags.None);
                var answer = _buffer.AsSpan(0, filled);
                var end = answer.IndexOf("\r\n\r\n"u8);
                if (end >= 0)
                {
                    Assert.True(answer.StartsWith("HTTP/1.1 200"u8), Encoding.UTF8.GetString(answer));
                    var length = int.Parse(Between(answer, "Content-Length: "u8, "\r\n"u8), CultureInfo.InvariantCulture);
                    if (filled == end + 4 + length)
                    {
                        return answer[(end + 4)..];
                    }
                }

                if (filled == _buffer.Length)
                {
                    Array.Resize(ref _buffer, 2 * filled);
                }
            }
        }

        public void Dispose() => _socket.Dispose();
    }
}
