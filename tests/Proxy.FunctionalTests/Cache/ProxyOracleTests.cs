using System.Globalization;
using System.Net;
using System.Security.Cryptography;
using System.Text;
using Proxy.FunctionalTests.Faults;
using Proxy.FunctionalTests.Hosting;

namespace Proxy.FunctionalTests.Cache;

/// <summary>Many clients put, upload in parts, delete and read a few keys through a real proxy with a tiny cache, before a backend with faults, across kill -9:
/// every answer is exactly one version that was current at some moment of its request. Captures may hold two uploads, so that most go to the tiers early.</summary>
/// <remarks>PROXY_ORACLE_OPERATIONS (2,000), PROXY_ORACLE_KILLS (1), PROXY_ORACLE_SEED (1).</remarks>
public sealed class ProxyOracleTests(ITestOutputHelper output)
{
    private const int Keys = 12;
    private const int Clients = 16;
    private static readonly int Operations = Setting.Of("PROXY_ORACLE_OPERATIONS", 2_000);
    private static readonly int Kills = Setting.Of("PROXY_ORACLE_KILLS", 1);
    private static readonly int Seed = Setting.Of("PROXY_ORACLE_SEED", 1);

    [Fact]
    public async Task Proxy_WithFaultsEvictionAndKills_AnswersWithAVersionOfItsWindow()
    {
        await using var backend = await FaultyBackend.StartAsync(0, "oracle");
        await using var proxy = await ProxyProcess.StartAsync(
            ["--memory", "16MiB", "--nvme", "64MiB", "--set", "Cache:Captures:MaxBytes=1MiB", "--set", "Cache:BlockSizeBytes=64KiB", "--set", "Cache:Fills:MaxRangeBytes=1MiB", "--set", "Cache:RevalidateTtl=00:00:00"],
            new Uri(backend.Url));
        using var client = new S3Http(proxy.Endpoint);
        var keys = Enumerable.Range(0, Keys).Select(i => new Model(i % 2 == 0 ? $"/oracle/files/index_files/1/1/1/{i}/HNSW" : $"/oracle/any/{i}")).ToArray();
        long done = 0, reads = 0, refused = 0, writes = 0, unknown = 0;
        var isLost = false;
        var clients = Enumerable.Range(0, Clients).Select(number => Task.Run(async () =>
        {
            var random = new Random((Seed * 1000) + number);
            while (!Volatile.Read(ref isLost) && Interlocked.Increment(ref done) <= Operations)
            {
                if (proxy.IsDown)
                {
                    // Nobody there: what is asked now says nothing.
                    Interlocked.Decrement(ref done);
                    await Task.Delay(20);
                    continue;
                }

                var key = keys[random.Next(Keys)];
                if (random.Next(6) == 0)
                {
                    Interlocked.Increment(ref writes);
                    if (!await WriteAsync(client, key, random))
                    {
                        Interlocked.Increment(ref unknown);
                    }
                }
                else
                {
                    Interlocked.Increment(ref await ReadAsync(client, key, random) ? ref reads : ref refused);
                }
            }
        })).ToArray();

        // Clients that have all failed have an end too, which nobody else may wait for in vain.
        var ended = Task.WhenAll(clients);
        var killing = Task.Run(async () =>
        {
            try
            {
                for (var kill = 1; kill <= Kills && !ended.IsCompleted; kill++)
                {
                    while (!ended.IsCompleted && Interlocked.Read(ref done) < (long)Operations * kill / (Kills + 1))
                    {
                        await Task.Delay(5);
                    }

                    await proxy.KillAsync();
                    await proxy.StartAgainAsync();
                }
            }
            catch
            {
                // The clients wait until it is up again.
                Volatile.Write(ref isLost, true);
                throw;
            }
        });
        var faults = Task.Run(async () =>
        {
            // About one request in thirty goes wrong, in one of these ways.
            var random = new Random(Seed);
            var broken = 0;
            Fault[] ways = [new() { Status = 503 }, new() { Status = 500 }, new() { ResetBeforeDoing = true }, new() { ResetAfterDoing = true }, new() { ResetAfterBytes = 100_000 }, new() { WrongContentRange = true }, new() { Latency = TimeSpan.FromMilliseconds(20) }];
            while (!ended.IsCompleted && Interlocked.Read(ref done) < Operations)
            {
                for (; broken < backend.Requests.Count / 30; broken++)
                {
                    backend.Break("*", ways[random.Next(ways.Length)], times: 1);
                }

                await Task.Delay(5);
            }

            backend.Heal();
        });
        await Task.WhenAll(ended, killing, faults);
        var metrics = await proxy.ReadMetricsAsync();
        output.WriteLine($"seed {Seed}: {Operations} operations, {Kills} kills: {reads} reads, {refused} refused or broken off, {writes} writes ({unknown} of unknown outcome)");
        output.WriteLine(string.Join('\n', metrics.Split('\n').Where(line => line.StartsWith("s3_proxy_object_reads_total", StringComparison.Ordinal) || line.StartsWith("s3_proxy_captures_total", StringComparison.Ordinal))));
        Assert.True(reads > Operations / 3, $"Only {reads} reads were answered: the run shows nothing.");
        Assert.True(writes - unknown > Operations / 20, "Hardly a write was acknowledged.");
    }

    private static async Task<bool> ReadAsync(S3Http client, Model key, Random random)
    {
        var oldest = key.Oldest();
        (long First, long Last)? range = random.Next(2) == 0 ? null : (random.Next(200_000), random.Next(200_000, 400_000));
        var method = random.Next(5) == 0 ? HttpMethod.Head : HttpMethod.Get;
        var answer = await client.TryAsync(method, key.Target, range: method == HttpMethod.Head ? null : range);
        switch (answer.Status)
        {
            case HttpStatusCode.NotFound:
                key.MustAllow(null, oldest);
                return true;
            case HttpStatusCode.OK or HttpStatusCode.PartialContent:
                var bytes = key.MustAllow(answer.ETag, oldest);
                if (answer.Body is null || method == HttpMethod.Head)
                {
                    return method == HttpMethod.Head;
                }

                var first = range is null ? 0 : (int)range.Value.First;
                var length = range is null ? bytes.Length : Math.Min(bytes.Length, (int)range.Value.Last + 1) - first;
                Assert.True(bytes.AsSpan(first, length).SequenceEqual(answer.Body), $"{key.Target} {answer.ETag} {answer.Cache}: other bytes");
                return true;
            default:
                Assert.True((int)answer.Status is 0 or 416 or 500 or 502 or 503 or 504, $"{key.Target}: {answer.Status}");
                return false;
        }
    }

    /// <returns>Whether it was acknowledged.</returns>
    private static async Task<bool> WriteAsync(S3Http client, Model key, Random random)
    {
        // One writer per key at a time: with two the model would not know which one stands.
        await key.Writing.WaitAsync();
        try
        {
            if (random.Next(6) == 0)
            {
                key.Begin(null, null);
                var deleted = await client.TryAsync(HttpMethod.Delete, key.Target);
                return key.End(deleted.Status == HttpStatusCode.NoContent);
            }

            var bytes = new byte[random.Next(300_000, 700_000)];
            random.NextBytes(bytes);
            if (random.Next(10) == 0)
            {
                // Neither of them may ever be seen, so the model is told nothing.
                await client.PutAndVanishAsync(key.Target, bytes, random.Next(bytes.Length));
                var status = await client.PutDamagedAsync(key.Target, bytes);
                Assert.True((int)status is 0 or 400 or 500 or 502 or 503 or 504, $"{key.Target}: a damaged body was answered {status}");
            }

            if (random.Next(4) != 0)
            {
                key.Begin($"\"{Convert.ToHexStringLower(MD5.HashData(bytes))}\"", bytes);
                return key.End((await client.TryAsync(HttpMethod.Put, key.Target, bytes)).Status == HttpStatusCode.OK);
            }

            return await UploadAsync(client, key, bytes);
        }
        finally
        {
            key.Writing.Release();
        }
    }

    private static async Task<bool> UploadAsync(S3Http client, Model key, byte[] bytes)
    {
        var half = bytes.Length / 2;
        byte[][] parts = [bytes[..half], bytes[half..]];
        var created = await client.TryAsync(HttpMethod.Post, key.Target + "?uploads=");
        if (created.Status != HttpStatusCode.OK || created.Body is null)
        {
            return false;
        }

        var text = Encoding.UTF8.GetString(created.Body);
        var upload = text[(text.IndexOf("<UploadId>", StringComparison.Ordinal) + 10)..text.IndexOf("</UploadId>", StringComparison.Ordinal)];
        var xml = new StringBuilder("<CompleteMultipartUpload>");
        for (var i = 0; i < parts.Length; i++)
        {
            var part = await client.TryAsync(HttpMethod.Put, $"{key.Target}?partNumber={i + 1}&uploadId={upload}", parts[i]);
            if (part.Status != HttpStatusCode.OK)
            {
                return false;
            }

            xml.Append(CultureInfo.InvariantCulture, $"<Part><PartNumber>{i + 1}</PartNumber><ETag>{part.ETag}</ETag></Part>");
        }

        var etag = Convert.ToHexStringLower(MD5.HashData([.. parts.SelectMany(MD5.HashData)]));
        key.Begin($"\"{etag}-{parts.Length}\"", bytes);
        var answer = await client.TryAsync(HttpMethod.Post, $"{key.Target}?uploadId={upload}", Encoding.UTF8.GetBytes(xml.Append("</CompleteMultipartUpload>").ToString()));
        return key.End(answer.Status == HttpStatusCode.OK && answer.Body is not null && !Encoding.UTF8.GetString(answer.Body).Contains("<Error>", StringComparison.Ordinal));
    }


    /// <summary>The versions of one key, and which of them may be seen: the last acknowledged one when a request began, and all that began after it.</summary>
    private sealed class Model(string target)
    {
        private readonly Lock _lock = new();
        private readonly List<(string? ETag, byte[]? Bytes)> _begun = [(null, null)];
        private int _acknowledged;

        public string Target { get; } = target;

        public SemaphoreSlim Writing { get; } = new(1);

        public void Begin(string? etag, byte[]? bytes)
        {
            lock (_lock)
            {
                _begun.Add((etag, bytes));
            }
        }

        /// <summary>A write whose outcome is unknown may land at any time later, so everything since the last acknowledged one stays possible.</summary>
        public bool End(bool acknowledged)
        {
            lock (_lock)
            {
                if (acknowledged)
                {
                    _acknowledged = _begun.Count - 1;
                }

                return acknowledged;
            }
        }

        public int Oldest()
        {
            lock (_lock)
            {
                return _acknowledged;
            }
        }

        public byte[] MustAllow(string? etag, int oldest)
        {
            lock (_lock)
            {
                for (var at = _begun.Count - 1; at >= oldest; at--)
                {
                    if (_begun[at].ETag == etag)
                    {
                        return _begun[at].Bytes ?? [];
                    }
                }

                var known = _begun.FindIndex(version => version.ETag == etag);
                Assert.Fail($"{Target}: {etag ?? "missing"} (version {known}) is none of {string.Join(", ", _begun[oldest..].Select(version => version.ETag ?? "missing"))}");
                return [];
            }
        }
    }
}
