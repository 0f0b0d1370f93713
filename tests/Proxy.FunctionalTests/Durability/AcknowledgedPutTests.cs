using System.Collections.Concurrent;
using System.Globalization;
using Proxy.FunctionalTests.Hosting;
using Proxy.FunctionalTests.Operations.Wire;

namespace Proxy.FunctionalTests.Durability;

/// <summary>kill -9 of the whole server under load over HTTP: every acknowledged object is whole, nothing half-written is visible, a plain start is enough.</summary>
public sealed class AcknowledgedPutTests
{
    private const int Writers = 4;

    /// <summary>10 in CI; PROXY_KILL_ROUNDS asks for more.</summary>
    private static readonly int Rounds = int.TryParse(Environment.GetEnvironmentVariable("PROXY_KILL_ROUNDS"), NumberStyles.None, CultureInfo.InvariantCulture, out var rounds) ? rounds : 10;

    [Fact]
    public async Task KillMinus9_UnderLoad_KeepsWhatWasAcknowledged()
    {
        var random = new Random(20_26);
        await using var proxy = await ProxyProcess.StartAsync(["--nvme", "64MiB"]);
        await using (var setup = new S3Wire(proxy.Endpoint, "killed"))
        {
            (await setup.SendAsync("PUT", "")).Expect(200);
        }

        // What each key may hold: the last acknowledged version, or the one that was under way when the server died.
        var acknowledged = new ConcurrentDictionary<string, int>(StringComparer.Ordinal);
        var attempted = new ConcurrentDictionary<string, int>(StringComparer.Ordinal);
        for (var round = 0; round < Rounds; round++)
        {
            var enough = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            var left = random.Next(20, 120);
            var first = round * 100_000;
            var writers = Enumerable.Range(0, Writers).Select(writer => Task.Run(async () =>
            {
                await using var s3 = new S3Wire(proxy.Endpoint, "killed");
                try
                {
                    for (var version = first; ; version++)
                    {
                        var key = $"w{writer}-{version % 7}";
                        attempted[key] = version;
                        if ((await s3.PutAsync("/" + key, Body(writer, version))).Status == 200)
                        {
                            acknowledged[key] = version;
                            if (Interlocked.Decrement(ref left) == 0)
                            {
                                enough.SetResult();
                            }
                        }
                    }
                }
                catch (Exception e) when (e is IOException or System.Net.Sockets.SocketException)
                {
                    // The server died, as it should.
                }
            })).ToArray();
            await enough.Task;
            await proxy.KillAsync();
            await Task.WhenAll(writers);
            await proxy.StartAgainAsync();

            await using var reader = new S3Wire(proxy.Endpoint, "killed");
            foreach (var (key, version) in acknowledged)
            {
                var writer = key[1] - '0';
                var answer = (await reader.GetAsync("/" + key)).Expect(200);
                Assert.True(
                    answer.Body.AsSpan().SequenceEqual(Body(writer, version)) || answer.Body.AsSpan().SequenceEqual(Body(writer, attempted[key])),
                    $"round {round}: {key} is neither version {version}, acknowledged, nor {attempted[key]}, attempted\n{proxy.LogTail}");
            }

            foreach (var key in (await reader.GetAsync("?list-type=2")).Expect(200).Values("Contents", "Key"))
            {
                var body = (await reader.GetAsync("/" + key)).Expect(200).Body;
                Assert.True(body.AsSpan().SequenceEqual(Body(key[1] - '0', attempted[key])) || acknowledged.ContainsKey(key), $"round {round}: {key} holds something nobody wrote whole");
            }
        }
    }

    /// <summary>From nothing to 300 KB: inline in the index and in files of their own.</summary>
    private static byte[] Body(int writer, int version)
    {
        var random = new Random((writer * 1_000_003) + version);
        var body = new byte[random.Next(0, 300_000) / (version % 3 == 0 ? 1 : 100)];
        random.NextBytes(body);
        return body;
    }
}
