using Microsoft.Extensions.Time.Testing;
using Proxy.Cache;
using Proxy.S3.Errors;
using Proxy.S3.Objects;

namespace Proxy.UnitTests.Cache;

/// <summary>The same few requests under every order of their steps that differs from the plain one in one place, or two, and under random orders.</summary>
/// <remarks>
/// Steps are what lies between two awaits of the cache, its fills, its questions and the fake backend. One or two delays is the bound of delay-bounded
/// scheduling, where nearly all races that were ever found show. PROXY_INTERLEAVINGS multiplies how many orders are tried (1).
/// </remarks>
public sealed class InterleavingTests(ITestOutputHelper output)
{
    private static readonly int Effort = int.Parse(Environment.GetEnvironmentVariable("PROXY_INTERLEAVINGS") ?? "1");
    private static readonly FakeTimeProvider Time = new();

    public static TheoryData<string, bool> Scenarios()
    {
        var data = new TheoryData<string, bool>();
        foreach (var scenario in new[] { "RWR", "RRW", "RWW", "HWR", "RDR", "RUR", "WWR", "RWHW" })
        {
            data.Add(scenario, true);
            data.Add(scenario, false);
        }

        return data;
    }

    [Theory]
    [MemberData(nameof(Scenarios))]
    public async Task Requests_InAnyOrderOfTheirSteps_SeeAVersionOfTheirWindow(string scenario, bool immutable)
    {
        await using var fixture = new CacheFixture(
            options =>
            {
                options.BlockSizeBytes = 64 << 10;
                options.Memory.CapacityBytes = 16 << 20;
                options.Fills.MaxRangeBytes = 1 << 20;
                options.RevalidateTtl = TimeSpan.FromHours(1);
                options.UnknownOutcomeWindow = TimeSpan.FromHours(1);
            },
            Time);
        fixture.Source.PieceBytes = 32 << 10;
        fixture.Source.BeforeAnswer = static async (_, _) => await Task.Yield();
        fixture.Source.BeforeHeaders = static async _ => await Task.Yield();
        fixture.Source.BeforePiece = static async (_, _) => await Task.Yield();
        // Plain order first; it says how many choices there are.
        var orders = 0;
        var choices = await TryAsync(static (_, _) => 0);
        for (var first = 0; first < choices; first++)
        {
            for (var delay = 1; delay <= 2; delay++)
            {
                await TryAsync((at, ready) => at == first ? Math.Min(delay, ready - 1) : 0);
            }
        }

        var random = new Random(scenario.Length + choices);
        for (var i = 0; i < 120 * Effort; i++)
        {
            var (one, two) = (random.Next(choices), random.Next(choices));
            var (by, byTwo) = (random.Next(1, 4), random.Next(1, 4));
            await TryAsync((at, ready) => at == one ? by % ready : at == two ? byTwo % ready : 0);
        }

        for (var i = 0; i < 120 * Effort; i++)
        {
            await TryAsync((_, ready) => random.Next(ready));
        }

        output.WriteLine($"{scenario}: {choices} choices, {orders} orders");
        Assert.True(choices > 5, "Nothing was interleaved.");

        // A key of its own for each order: the cache is one, so that an order costs microseconds.
        Task<int> TryAsync(Func<int, int, int> choose)
            => RunAsync(fixture, scenario, new ObjectId("b", (immutable ? "files/index_files/1/2/3/4/x_" : "any/") + orders++), choose);
    }

    /// <summary>R reads, H asks for the head, W writes with its capture, U writes and its outcome is unknown, D deletes; all begin at once.</summary>
    private static async Task<int> RunAsync(CacheFixture fixture, string scenario, ObjectId id, Func<int, int, int> choose)
    {
        var run = new Scenario(fixture, id);
        var scheduler = new SteppingScheduler();
        var requests = scenario.Select((kind, i) => scheduler.Start(() => run.RequestAsync(kind, i + 1))).ToArray();
        var choices = scheduler.Run(Task.WhenAll(requests), choose);
        await Task.WhenAll(requests);

        // Everything is over: what a reader finds now is what the backend has.
        var after = scheduler.Start(() => run.RequestAsync('R', 0));
        scheduler.Run(after, static (_, _) => 0);
        await after;
        var idle = scheduler.Start(fixture.Cache.IdleAsync);
        scheduler.Run(idle, static (_, _) => 0);
        await fixture.AssertQuietAsync();
        return choices;
    }

    private sealed class Scenario
    {
        private readonly CacheFixture _fixture;
        private readonly ObjectId _id;

        // In the order in which the backend applied them; null is a deletion.
        private readonly List<string?> _applied = [];

        // How many of them were applied when the last write that has ended did.
        private int _seen;

        public Scenario(CacheFixture fixture, ObjectId id)
        {
            (_fixture, _id) = (fixture, id);
            _applied.Add(fixture.Source.Put(id, Bytes(0), "\"v0\"").ETag);
        }

        public Task RequestAsync(char kind, int number) => kind is 'R' or 'H' ? ReadAsync(kind == 'H') : WriteAsync(kind, number);

        private static byte[] Bytes(int number) => CacheFixture.Random(100_000 + (number * 40_000), number);

        private async Task ReadAsync(bool head)
        {
            var oldest = Math.Max(_seen, 1) - 1;
            try
            {
                await using var read = await _fixture.OpenAsync(_id, new ReadRequest { HeadOnly = head });
                var etag = read.Info.ETag;
                Assert.Contains(etag, _applied[oldest..]);
                if (!head)
                {
                    var bytes = await CacheFixture.DrainAsync(read);
                    Assert.True(Bytes(etag[2] - '0').AsSpan().SequenceEqual(bytes), $"{etag} has other bytes");
                }
            }
            catch (S3Exception e) when (e.Code == S3ErrorCode.NoSuchKey)
            {
                Assert.Contains(null, _applied[oldest..]);
            }
            catch (IOException)
            {
                // The version changed after its first byte had left: breaking off is the honest end, but only when something changed.
                Assert.True(_applied.Count > 1);
            }
        }

        private async Task WriteAsync(char kind, int number)
        {
            var bytes = Bytes(number);
            using var mutation = _fixture.Cache.BeginMutation(_id);
            using var capture = _fixture.Cache.TryBeginCapture(_id, bytes.Length);
            await Task.Yield();
            capture!.Append(bytes);
            ObjectInfo? info = null;
            if (kind == 'D')
            {
                _fixture.Source.Delete(_id);
            }
            else
            {
                info = _fixture.Source.Put(_id, bytes, $"\"v{number}\"");
            }

            _applied.Add(info?.ETag);
            var place = _applied.Count;
            await Task.Yield();
            await Task.Yield();
            switch (kind)
            {
                case 'W':
                    mutation.Stored(info!.ETag, capture, number % 2 == 0 ? info : null, _fixture.Source);
                    break;
                case 'D':
                    mutation.Changed();
                    break;
                default:
                    mutation.Dispose();
                    break;
            }

            _seen = Math.Max(_seen, place);
        }
    }
}
