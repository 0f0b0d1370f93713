using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using Microsoft.Extensions.Logging.Abstractions;
using Proxy.Server.Transport;

namespace Proxy.FunctionalTests.Hosting;

/// <summary>One loop by itself; alone, because it counts the process's descriptors.</summary>
[Collection(Alone.Collection)]
public sealed class EventLoopTests : BareTransport
{
    private const int LooksInTurn = 32;

    /// <summary>A client that sends as fast as it is read has the same turn in every round, however long that goes on.</summary>
    [Fact]
    public async Task Turn_OfAClientThatNeverPauses_DoesNotGrow()
    {
        using var loop = NewLoop();
        await using var pair = await ConnectAsync(loop);
        var waits = NewSignal();
        var reading = Task.Run(async () =>
        {
            var (round, rounds, looks, most) = (0L, 0, 0, 0);
            while (rounds < 300)
            {
                var pending = pair.Input.ReadAsync();
                waits.TrySetResult();
                var read = await pending.ConfigureAwait(false);
                Assert.True(loop.IsCurrent);
                pair.Input.AdvanceTo(read.Buffer.GetPosition(1));
                if (loop.Round != round)
                {
                    (round, rounds, looks) = (loop.Round, rounds + 1, 0);
                }

                most = Math.Max(most, ++looks);
                pair.Client.Send([1]); // the next round has an event of this connection
            }

            return most;
        });
        await SoonAfterAsync(waits);
        await SendAllAsync(pair.Client, new byte[10_000]);

        // One that was told of as the turn began, and one that is looked at when it turns out to be over.
        Assert.InRange(await reading.WaitAsync(Patience), LooksInTurn, LooksInTurn + 2);
    }

    /// <summary>Who asks for several turns has one a round.</summary>
    [Fact]
    public async Task Later_OfTheSameOneSeveralTimes_IsOneTurn()
    {
        using var loop = NewLoop();
        await using var pair = await ConnectAsync(loop);
        var eager = new Eager(loop);
        var waits = NewSignal();
        var beginning = Task.Run(async () =>
        {
            var pending = pair.Input.ReadAsync();
            waits.SetResult();
            await pending.ConfigureAwait(false);
            Assert.True(loop.IsCurrent);
            eager.OnTurn();
        });
        await SoonAfterAsync(waits);
        await pair.Client.SendAsync(new byte[1]);
        await beginning.WaitAsync(Patience);
        Assert.Equal(1, await eager.MostInRound.WaitAsync(Patience));
    }

    /// <summary>Whoever ends it, on whatever thread: nothing stays open.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Dispose_ClosesItsDescriptors(bool onItsOwnThread)
    {
        const int Loops = 50;
        var (before, pipes) = (Polls(), Pipes());
        for (var i = 0; i < Loops; i++)
        {
            var loop = NewLoop();
            if (onItsOwnThread)
            {
                await using var pair = await ConnectAsync(loop);
                var ending = Task.Run(async () =>
                {
                    await pair.Input.ReadAsync().ConfigureAwait(false);
                    Assert.True(loop.IsCurrent);
                    loop.Dispose();
                });
                await Task.Delay(10);
                await pair.Client.SendAsync(new byte[1]);
                await ending.WaitAsync(Patience);
            }
            else
            {
                loop.Dispose();
            }
        }

        // One that ends on its own thread closes them a little later. What earlier tests left open may go meanwhile.
        var (morePolls, morePipes) = (Polls() - before, Pipes() - pipes);
        for (var started = Stopwatch.GetTimestamp(); (morePolls > Loops / 4 || morePipes > Loops / 2) && Stopwatch.GetElapsedTime(started) < TimeSpan.FromSeconds(10);)
        {
            await Task.Delay(50);
            (morePolls, morePipes) = (Polls() - before, Pipes() - pipes);
        }

        Assert.InRange(morePolls, -Loops, Loops / 4);
        Assert.InRange(morePipes, -Loops, Loops / 2); // each has several, of two descriptors

        static int Polls() => Descriptors("anon_inode:[eventpoll]");
        static int Pipes() => Descriptors("pipe:");
        static int Descriptors(string kind) => Directory.GetFiles("/proc/self/fd").Count(file => new FileInfo(file).LinkTarget?.StartsWith(kind, StringComparison.Ordinal) == true);
    }

    private static EventLoop NewLoop() => new(0, stallTimeout: TimeSpan.FromSeconds(20), keepAlive: TimeSpan.FromHours(1), zeroCopy: true, NullLogger.Instance);

    private static async Task<Pair> ConnectAsync(EventLoop loop)
    {
        using var listener = new Socket(SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        listener.Listen();
        var client = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        await client.ConnectAsync(listener.LocalEndPoint!);
        var server = new SocketConnection(await listener.AcceptAsync(), loop, isNear: true);
        loop.Add(server);
        return new Pair(client, server);
    }

    /// <summary>Asks for two turns in each that it has.</summary>
    private sealed class Eager(EventLoop loop) : IHasTurns
    {
        private readonly TaskCompletionSource<int> _mostInRound = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private readonly long _until = loop.Round + 10;
        private long _round;
        private int _turns;
        private int _most;

        bool IHasTurns.IsQueued { get; set; }

        public Task<int> MostInRound => _mostInRound.Task;

        public void OnTurn()
        {
            (_round, _turns) = _round == loop.Round ? (_round, _turns + 1) : (loop.Round, 1);
            _most = Math.Max(_most, _turns);
            if (loop.Round > _until)
            {
                _mostInRound.TrySetResult(_most);
                return;
            }

            loop.Later(this);
            loop.Later(this);
        }
    }
}
