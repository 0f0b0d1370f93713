using System.Buffers;
using System.Diagnostics;
using System.IO.Pipelines;
using System.Net.Sockets;
using Microsoft.AspNetCore.Connections;
using Proxy.Server.Transport;

namespace Proxy.FunctionalTests.Hosting;

/// <summary>Many connections of the transport at once, and what each may take of a thread's time.</summary>
public sealed class SocketTurnTests : BareTransport
{
    /// <summary>Connections that could go on for ever do not keep the others of their loop waiting.</summary>
    [Fact]
    public async Task BusyConnections_LeaveOthersTheirTurn()
    {
        var block = Bytes(4 << 20);
        using var over = new CancellationTokenSource();
        var busy = new List<Task>();
        for (var i = 0; i < Environment.ProcessorCount * 2; i++)
        {
            var pair = await ConnectAsync();
            busy.Add(Task.Run(async () =>
            {
                await using (pair)
                {
                    var taking = Task.Run(async () =>
                    {
                        var into = new byte[1 << 20];
                        while (await pair.Client.ReceiveAsync(into) > 0)
                        {
                        }
                    });

                    // Begun on the loop's thread: from there on every flush goes on at once for as long as the client takes what is sent.
                    await pair.Client.SendAsync(new byte[1]);
                    await pair.Input.ReadAsync();
                    while (!over.IsCancellationRequested && !(await FlushOnceAsync(pair.Output, block)).IsCompleted)
                    {
                    }

                    await pair.Server.DisposeAsync();
                    await taking;
                }
            }));
        }

        var slowest = TimeSpan.Zero;
        for (var i = 0; i < 20; i++)
        {
            await using var small = await ConnectAsync();
            var echo = EchoOnceAsync(small);
            var asked = Stopwatch.GetTimestamp();
            await small.Client.SendAsync(new byte[100]);
            await ReceiveAsync(small.Client, 100);
            var took = Stopwatch.GetElapsedTime(asked);
            slowest = took > slowest ? took : slowest;
            await echo;
        }

        await over.CancelAsync();
        await Task.WhenAll(busy).WaitAsync(Patience);
        Assert.InRange(slowest, TimeSpan.Zero, TimeSpan.FromSeconds(2));

        static async Task EchoOnceAsync(Pair pair)
        {
            var read = await pair.Input.ReadAsync();
            read.Buffer.CopyTo(pair.Output.GetSpan((int)read.Buffer.Length));
            pair.Output.Advance((int)read.Buffer.Length);
            pair.Input.AdvanceTo(read.Buffer.End);
            await pair.Output.FlushAsync();
        }
    }

    /// <summary>A request that has left the loop may end on a thread that others wait for: what its connection does there next has its turn too.</summary>
    [Theory]
    [InlineData(0, 1000)]
    [InlineData(2 << 20, 20)]
    public async Task Looks_OnAnotherThread_EndInATurn(int sentBefore, int atMost)
    {
        await using var pair = await ConnectAsync();
        await SendAllAsync(pair.Client, new byte[4000]);
        ReadResult first;
        while (!pair.Input.TryRead(out first))
        {
            await Task.Delay(10);
        }

        pair.Input.AdvanceTo(first.Buffer.Start);
        var taking = ReceiveAsync(pair.Client, sentBefore);
        await FlushOnceAsync(pair.Output, new byte[sentBefore]);
        await taking;
        var (looks, isOnPool) = await Task.Factory.StartNew(() => LookUntilElsewhereAsync(pair.Input), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default).Unwrap().WaitAsync(Patience);
        Assert.InRange(looks, 0, atMost);
        Assert.True(isOnPool);

        static async Task<(int Looks, bool IsOnPool)> LookUntilElsewhereAsync(SocketInput input)
        {
            var thread = Environment.CurrentManagedThreadId;
            for (var looks = 0; looks < 3000; looks++)
            {
                var read = await input.ReadAsync().ConfigureAwait(false);
                if (Environment.CurrentManagedThreadId != thread)
                {
                    return (looks, Thread.CurrentThread.IsThreadPoolThread);
                }

                input.AdvanceTo(read.Buffer.GetPosition(1));
            }

            return (int.MaxValue, false);
        }
    }

    /// <summary>However many turns it ends.</summary>
    [Fact]
    public async Task CancelPendingRead_AtTheEndOfATurn_IsTold()
    {
        await using var pair = await ConnectAsync();
        var waits = NewSignal();
        var reading = Task.Run(async () =>
        {
            var pending = pair.Input.ReadAsync();
            waits.SetResult();
            var read = await pending.ConfigureAwait(false);
            Assert.False(Thread.CurrentThread.IsThreadPoolThread);
            for (var looks = 0; looks < 100; looks++)
            {
                pair.Input.AdvanceTo(read.Buffer.GetPosition(1));
                read = await pair.Input.ReadAsync().ConfigureAwait(false);
                Assert.False(read.IsCanceled);
                pair.Input.AdvanceTo(read.Buffer.Start);
                pair.Input.CancelPendingRead();
                read = await pair.Input.ReadAsync().ConfigureAwait(false);
                Assert.True(read.IsCanceled, $"after {looks} looks");
            }
        });
        await SoonAfterAsync(waits);
        await pair.Client.SendAsync(new byte[1000]);
        await reading.WaitAsync(Patience);
    }

    /// <summary>Many connections that come, talk in pieces of all sizes, are cut off or closed, and go: every byte comes back, nobody waits for ever.</summary>
    [Fact]
    public async Task Soak_EchoesOfManyConnections_AreTheBytesThatWent()
    {
        var serving = ServeEchoesAsync();
        var echoed = 0L;
        var clients = Enumerable.Range(0, 24).Select(seed => Task.Run(async () =>
        {
            var random = new Random(seed);
            for (var round = 0; round < 12; round++)
            {
                using var client = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
                await client.ConnectAsync(Listener.EndPoint);
                var bytes = new byte[random.Next(1, 600_000)];
                random.NextBytes(bytes);
                var cutAfter = random.Next(4) == 0 ? random.Next(bytes.Length) : bytes.Length;
                var sending = Task.Run(async () =>
                {
                    for (var at = 0; at < cutAfter;)
                    {
                        var piece = Math.Min(cutAfter - at, random.Next(3) == 0 ? random.Next(1, 50) : random.Next(1, 200_000));
                        await SendAllAsync(client, bytes.AsMemory(at, piece));
                        at += piece;
                    }
                });
                var received = await ReceiveAsync(client, cutAfter);
                await sending;
                Assert.True(bytes.AsSpan(0, cutAfter).SequenceEqual(received), $"seed {seed}, round {round}");
                Interlocked.Add(ref echoed, cutAfter);
                if (cutAfter < bytes.Length)
                {
                    client.LingerState = new LingerOption(true, 0); // a reset
                }
            }
        }));
        await Task.WhenAll(clients).WaitAsync(TimeSpan.FromMinutes(2));
        await Listener.UnbindAsync();
        await serving.WaitAsync(Patience);
        Assert.True(echoed > 10 << 20);
    }

    private async Task ServeEchoesAsync()
    {
        var running = new List<Task>();
        while (await Listener.AcceptAsync() is { } connection)
        {
            running.Add(Task.Run(async () =>
            {
                await using (connection)
                {
                    var (input, output) = (connection.Transport.Input, connection.Transport.Output);
                    var random = new Random(running.Count);
                    try
                    {
                        while (true)
                        {
                            var read = await input.ReadAsync();
                            if (read.Buffer.IsEmpty && read.IsCompleted)
                            {
                                break;
                            }

                            // Now all of it, now some, now from the loop's thread and now from the pool's.
                            var length = random.Next(3) == 0 ? Math.Max(1, read.Buffer.Length / 2) : read.Buffer.Length;
                            var taken = read.Buffer.Slice(0, length).ToArray();
                            input.AdvanceTo(read.Buffer.GetPosition(length));
                            if (random.Next(2) == 0)
                            {
                                await IoThread.LeaveAsync();
                            }

                            if ((await FlushOnceAsync((SocketOutput)output, taken)).IsCompleted)
                            {
                                break;
                            }
                        }
                    }
                    catch (ConnectionResetException)
                    {
                        // As it may be.
                    }

                    input.Complete();
                    output.Complete();
                }
            }));
        }

        await Task.WhenAll(running);
    }
}
