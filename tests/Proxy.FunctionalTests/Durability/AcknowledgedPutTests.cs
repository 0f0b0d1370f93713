using System.Collections.Concurrent;
using System.Globalization;
using Proxy.FunctionalTests.Hosting;
using Proxy.FunctionalTests.Operations.Wire;

namespace Proxy.FunctionalTests.Durability;

/// <summary>kill -9 of the whole server under load over HTTP: every acknowledged object is whole, nothing half-written is visible, a plain start is enough.</summary>
/// <remarks>PROXY_KILL_ROUNDS (10): the full form is 50.</remarks>
public sealed class AcknowledgedPutTests(ITestOutputHelper output)
{
    private const int Writers = 4;

    /// <summary>In place of a version: the key is not there.</summary>
    private const int Nothing = -1;

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

        // What each key may hold: the last version known to be stored, first, and those whose answer a kill has swallowed since.
        var possible = new ConcurrentDictionary<string, int[]>(StringComparer.Ordinal);
        int acknowledged = 0, unanswered = 0, found = 0;
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
                        possible[key] = [.. possible.GetValueOrDefault(key, [Nothing]), version];
                        if ((await s3.PutAsync("/" + key, Body(writer, version))).Status == 200)
                        {
                            possible[key] = [version];
                            Interlocked.Increment(ref acknowledged);
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
            var ended = Task.WhenAll(writers);
            await Task.WhenAny(enough.Task, ended, Task.Delay(TimeSpan.FromMinutes(1)));
            Assert.True(enough.Task.IsCompleted, $"round {round}: {Volatile.Read(ref left)} acknowledgements are missing\n{ended.Exception}\n{proxy.LogTail}");
            await proxy.KillAsync();
            await ended;
            await proxy.StartAgainAsync();

            await using var reader = new S3Wire(proxy.Endpoint, "killed");
            foreach (var (key, versions) in possible)
            {
                var answer = await reader.GetAsync("/" + key);
                var held = answer.Status == 404
                    ? Array.IndexOf(versions, Nothing)
                    : Array.FindLastIndex(versions, version => version != Nothing && answer.Expect(200).Body.AsSpan().SequenceEqual(Body(key[1] - '0', version)));
                Assert.True(held >= 0, $"round {round}: {key} ({answer.Status}, {answer.Body.Length} bytes) is none of {string.Join(", ", versions)}\n{proxy.LogTail}");
                unanswered += versions.Length - 1;
                found += held > 0 ? 1 : 0;

                // What was seen after a start stays, also when nobody was told at the time.
                possible[key] = [versions[held]];
            }

            Assert.All((await reader.GetAsync("?list-type=2")).Expect(200).Values("Contents", "Key"), key => Assert.True(possible.ContainsKey(key) && possible[key][0] != Nothing, $"round {round}: {key} is listed"));
        }

        output.WriteLine($"{Rounds} kills, {acknowledged} acknowledged writes, none lost; {unanswered} without an answer, of which {found} were stored");
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
