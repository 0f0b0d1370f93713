using Proxy.Server.Transport;

namespace Proxy.FunctionalTests.Hosting;

/// <summary>Who stays on an event loop's thread, and who leaves it.</summary>
public sealed class IoThreadTests : BareTransport
{
    private enum Leaving
    {
        Always,
        UnlessQuiet,
    }

    [Fact]
    public async Task WhoIsAlone_Stays_UnlessItLeavesAlways()
    {
        await using var pair = await ConnectAsync();
        var stayed = await AskAsync(pair, Leaving.UnlessQuiet);
        Assert.True(stayed.Stayed);
        var left = await AskAsync(pair, Leaving.Always);
        Assert.Equal(stayed.Loop, left.Loop);
        Assert.False(left.Stayed);
    }

    [Fact]
    public async Task WhoIsNotAlone_Leaves()
    {
        var pairs = new List<Pair>();
        try
        {
            await AskTogetherAsync(await ThreeOfOneLoopAsync(pairs));
        }
        finally
        {
            foreach (var pair in pairs)
            {
                await pair.DisposeAsync();
            }
        }
    }

    private static async Task AskTogetherAsync((Pair First, Pair Second, Pair Third) pairs)
    {
        var (busy, second, third) = pairs;
        using var release = new ManualResetEventSlim();
        var arrived = new TaskCompletionSource();
        var holding = Ask(busy, Leaving.UnlessQuiet, () =>
        {
            arrived.SetResult();
            Assert.True(release.Wait(Patience));
        }).Found;
        await arrived.Task.WaitAsync(Patience);

        // Both arrive while the loop is held up: it is told of them together.
        Asked[] together = [Ask(second, Leaving.UnlessQuiet), Ask(third, Leaving.UnlessQuiet)];
        await Task.WhenAll(together.Select(static asked => asked.Sent));
        await Task.Delay(50);
        release.Set();
        Assert.True((await holding).Stayed);
        foreach (var found in await Task.WhenAll(together.Select(static asked => asked.Found)))
        {
            Assert.Equal((await holding).Loop, found.Loop);
            Assert.False(found.Stayed);
        }
    }

    private async Task<(Pair First, Pair Second, Pair Third)> ThreeOfOneLoopAsync(List<Pair> pairs)
    {
        // Connections go to the loop that has fewest.
        var byLoop = new Dictionary<int, List<Pair>>();
        while (true)
        {
            var pair = await ConnectAsync();
            pairs.Add(pair);
            var loop = (await AskAsync(pair, Leaving.Always)).Loop;
            var those = byLoop.TryGetValue(loop, out var known) ? known : byLoop[loop] = [];
            those.Add(pair);
            if (those.Count == 3)
            {
                return (those[0], those[1], those[2]);
            }

            Assert.True(pairs.Count < 1000, "no loop was given three of a thousand connections");
        }
    }

    /// <summary>Sends a byte, and says on what thread it was seen and where its reader went on.</summary>
    private static Asked Ask(Pair pair, Leaving leaving, Action? meanwhile = null)
    {
        var (client, server) = pair;
        var waits = NewSignal();
        var reading = Task.Run(async () =>
        {
            // Not there yet: whoever waits is gone on with on the loop's thread.
            var pending = server.Input.ReadAsync();
            waits.SetResult();
            var read = await pending.ConfigureAwait(false);
            var loop = Environment.CurrentManagedThreadId;
            Assert.False(Thread.CurrentThread.IsThreadPoolThread);
            server.Input.AdvanceTo(read.Buffer.End);
            meanwhile?.Invoke();
            await IoThread.LeaveAsync(unlessQuiet: leaving == Leaving.UnlessQuiet);
            return new Found(loop, !Thread.CurrentThread.IsThreadPoolThread);
        });
        return new Asked(SendAsync(), reading.WaitAsync(Patience));

        async Task SendAsync()
        {
            await SoonAfterAsync(waits);
            await client.SendAsync(new byte[1]);
        }
    }

    private static async Task<Found> AskAsync(Pair pair, Leaving leaving)
    {
        var asked = Ask(pair, leaving);
        await asked.Sent;
        return await asked.Found;
    }

    private readonly record struct Asked(Task Sent, Task<Found> Found);

    private readonly record struct Found(int Loop, bool Stayed);
}
