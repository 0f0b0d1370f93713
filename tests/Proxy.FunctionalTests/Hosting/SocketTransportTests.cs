using System.Buffers;
using System.Diagnostics;
using System.Globalization;
using System.IO.Pipelines;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using Microsoft.AspNetCore.Connections;
using Proxy.Server.Transport;

namespace Proxy.FunctionalTests.Hosting;

/// <summary>The transport by itself: what Kestrel and HotReads take for granted of a connection.</summary>
public sealed class SocketTransportTests : BareTransport
{
    [Fact]
    public async Task Bytes_ThatComeInPieces_AreShownTogetherUntilTheyAreConsumed()
    {
        await using var pair = await ConnectAsync();
        var input = pair.Input;
        await pair.Client.SendAsync("abc"u8.ToArray());
        var first = await input.ReadAsync();
        Assert.Equal("abc"u8.ToArray(), first.Buffer.ToArray());
        input.AdvanceTo(first.Buffer.Start, first.Buffer.End);
        var waiting = input.ReadAsync().AsTask();
        await Task.Delay(100);
        Assert.False(waiting.IsCompleted);
        await pair.Client.SendAsync("def"u8.ToArray());
        var second = await waiting.WaitAsync(Patience);
        Assert.Equal("abcdef"u8.ToArray(), second.Buffer.ToArray());
        input.AdvanceTo(second.Buffer.GetPosition(4));
        Assert.True(input.TryRead(out var third));
        Assert.Equal("ef"u8.ToArray(), third.Buffer.ToArray());
        input.AdvanceTo(third.Buffer.End);
        Assert.False(input.TryRead(out _));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(16 << 10)]
    [InlineData(100_000)]
    [InlineData(1 << 20)]
    public async Task Bytes_ThatAreKeptForLater_AreAllThere(int length)
    {
        await using var pair = await ConnectAsync();
        var sent = Bytes(length);
        var sending = Task.Run(async () => await SendAllAsync(pair.Client, sent));
        while (true)
        {
            var result = await pair.Input.ReadAsync();
            if (result.Buffer.Length == length)
            {
                Assert.True(result.Buffer.ToArray().AsSpan().SequenceEqual(sent));
                pair.Input.AdvanceTo(result.Buffer.End);
                break;
            }

            pair.Input.AdvanceTo(result.Buffer.Start, result.Buffer.End);
        }

        await sending;
    }

    [Fact]
    public async Task End_OfWhatTheClientSends_IsToldAfterItsLastByte_AndToWhoeverWorksForIt()
    {
        await using var pair = await ConnectAsync();
        await pair.Client.SendAsync("last"u8.ToArray());
        pair.Client.Shutdown(SocketShutdown.Send);
        var read = await pair.Input.ReadAsync();
        Assert.Equal(4, read.Buffer.Length);
        pair.Input.AdvanceTo(read.Buffer.End);
        read = await pair.Input.ReadAsync().AsTask().WaitAsync(Patience);
        Assert.True(read is { IsCompleted: true, Buffer.IsEmpty: true });
        pair.Input.AdvanceTo(read.Buffer.End);
        await ClosedAsync(pair.Server);
    }

    /// <summary>Who works on an answer and reads nothing must still hear that nobody waits for it.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task End_WhileNobodyReads_IsToldToWhoeverWorksForIt(bool reset)
    {
        await using var pair = await ConnectAsync();
        await pair.Client.SendAsync("GET"u8.ToArray());
        var read = await pair.Input.ReadAsync();
        pair.Input.AdvanceTo(read.Buffer.End);
        Assert.False(pair.Server.ConnectionClosed.IsCancellationRequested);
        if (reset)
        {
            pair.Client.LingerState = new LingerOption(true, 0);
        }

        pair.Client.Close();
        await ClosedAsync(pair.Server);
    }

    /// <summary>Dead both ways: what has come and was not read is nobody's reason to go on.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task End_WithUnreadBytes_IsToldToWhoeverWorksForIt(bool abort)
    {
        await using var pair = await ConnectAsync();
        await pair.Client.SendAsync("GET"u8.ToArray());
        await Task.Delay(100);
        if (abort)
        {
            pair.Server.Abort();
        }
        else
        {
            pair.Client.LingerState = new LingerOption(true, 0);
            pair.Client.Close();
        }

        await ClosedAsync(pair.Server);
    }

    /// <summary>Who has asked, and says that it will ask nothing more, waits for its answer.</summary>
    [Fact]
    public async Task HalfClose_WithUnreadBytes_IsNoEnd()
    {
        await using var pair = await ConnectAsync();
        await pair.Client.SendAsync("GET"u8.ToArray());
        pair.Client.Shutdown(SocketShutdown.Send);
        await Task.Delay(200);
        Assert.False(pair.Server.ConnectionClosed.IsCancellationRequested);
        var read = await pair.Input.ReadAsync();
        Assert.Equal(3, read.Buffer.Length);
        await FlushAsync(pair.Output, "answer"u8.ToArray());
        Assert.Equal("answer"u8.ToArray(), await ReceiveAsync(pair.Client, 6));
    }

    [Fact]
    public async Task Reset_WhileItIsWaitedFor_EndsTheWait()
    {
        await using var pair = await ConnectAsync();
        var waiting = pair.Input.ReadAsync().AsTask();
        pair.Client.LingerState = new LingerOption(true, 0);
        pair.Client.Close();
        var read = await waiting.WaitAsync(Patience).ContinueWith(static ended => ended.IsFaulted ? (ended.Exception!.InnerException, false) : (null, ended.Result.IsCompleted), TaskScheduler.Default);
        Assert.True(read.Item2 || read.InnerException is ConnectionResetException, $"{read}");
        await ClosedAsync(pair.Server);
    }

    [Fact]
    public async Task CancelPendingRead_EndsTheWait_OrTheNextRead()
    {
        await using var pair = await ConnectAsync();
        var waiting = pair.Input.ReadAsync().AsTask();
        pair.Input.CancelPendingRead();
        Assert.True((await waiting.WaitAsync(Patience)).IsCanceled);
        pair.Input.AdvanceTo(default);
        pair.Input.CancelPendingRead();
        Assert.True((await pair.Input.ReadAsync()).IsCanceled);
        pair.Input.AdvanceTo(default);
        await pair.Client.SendAsync("x"u8.ToArray());
        Assert.Equal(1, (await pair.Input.ReadAsync()).Buffer.Length);
    }

    [Fact]
    public async Task Token_EndsTheWait_AndNothingIsLost()
    {
        await using var pair = await ConnectAsync();
        for (var i = 0; i < 100; i++)
        {
            using var cancellation = new CancellationTokenSource();
            var waiting = pair.Input.ReadAsync(cancellation.Token).AsTask();
            await cancellation.CancelAsync();
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => waiting.WaitAsync(Patience));
        }

        await pair.Client.SendAsync("x"u8.ToArray());
        Assert.Equal(1, (await pair.Input.ReadAsync()).Buffer.Length);
    }

    /// <summary>A flush is over when the client's socket has taken everything, and the bytes of a block go out in their order.</summary>
    [Fact]
    public async Task Flush_OfMoreThanTheSocketTakes_WaitsForTheClient()
    {
        await using var pair = await ConnectAsync(receiveBufferBytes: 4096);
        var block = Bytes(20 << 20);
        var output = pair.Output;
        "head"u8.CopyTo(output.GetSpan(4));
        output.Advance(4);
        var flush = output.FlushAsync().AsTask();
        await flush.WaitAsync(Patience);
        ((IBlockOutput)output).Attach(block);
        output.GetMemory(1);
        output.Advance(block.Length);
        flush = output.FlushAsync().AsTask();
        await Task.Delay(200);
        Assert.False(flush.IsCompleted);
        var received = await ReceiveAsync(pair.Client, 4 + block.Length);
        await flush.WaitAsync(Patience);
        Assert.Equal("head"u8.ToArray(), received[..4]);
        Assert.True(block.AsSpan().SequenceEqual(received.AsSpan(4)));
    }

    /// <summary>What the kernel holds for a client that is near stays small: it does not matter how much the client would take.</summary>
    [Fact]
    public async Task Client_Nearby_HasLittleInTheKernel()
    {
        await using var pair = await ConnectAsync();
        var most = int.Parse(await File.ReadAllTextAsync("/proc/sys/net/core/wmem_max"), CultureInfo.InvariantCulture);
        using var server = new Socket(new SafeSocketHandle(pair.Server.Socket.DangerousGetHandle(), ownsHandle: false));

        // The kernel doubles what is asked for: half is for its own.
        Assert.Equal(2 * Math.Min(SocketOutput.NearSendBufferBytes, most), server.SendBufferSize);
    }

    [Theory]
    [InlineData(30, true)]
    [InlineData(500, true)]
    [InlineData(501, false)]
    [InlineData(0, false)]
    public void IsNear_GoesByTheHandshake(int microseconds, bool expected) => Assert.Equal(expected, SocketListener.IsNear(TimeSpan.FromMicroseconds(microseconds)));

    [Fact]
    public async Task Client_ThatTakesNothing_IsLeftAfterTheStallTimeout()
    {
        await using var pair = await ConnectAsync(receiveBufferBytes: 4096);
        var flush = FlushAsync(pair.Output, Bytes(20 << 20));
        var started = Stopwatch.GetTimestamp();
        Assert.True((await flush.WaitAsync(Patience)).IsCompleted);
        Assert.InRange(Stopwatch.GetElapsedTime(started).TotalSeconds, 1.9, 10);
    }

    /// <summary>Slow is not stalled: who takes some now and then keeps its connection. (The system tells of room only when a third of its buffer is free.)</summary>
    [Fact]
    public async Task Client_ThatTakesLittle_IsWaitedFor()
    {
        await using var pair = await ConnectAsync(receiveBufferBytes: 256 << 10);
        var block = Bytes(20 << 20);
        var flush = FlushAsync(pair.Output, block);
        var received = new byte[block.Length];
        var at = 0;
        for (var i = 0; i < 5; i++)
        {
            await Task.Delay(1000);
            Assert.False(flush.IsCompleted);
            for (var end = at + (3 << 20); at < end;)
            {
                at += await pair.Client.ReceiveAsync(received.AsMemory(at, end - at));
            }
        }

        while (at < received.Length)
        {
            at += await pair.Client.ReceiveAsync(received.AsMemory(at));
        }

        Assert.False((await flush.WaitAsync(Patience)).IsCompleted);
        Assert.True(block.AsSpan().SequenceEqual(received));
    }

    [Fact]
    public async Task Abort_EndsReadAndFlush()
    {
        await using var pair = await ConnectAsync(receiveBufferBytes: 4096);
        var read = pair.Input.ReadAsync().AsTask();
        var flush = FlushAsync(pair.Output, Bytes(20 << 20));
        pair.Server.Abort();
        Assert.True((await flush.WaitAsync(Patience)).IsCompleted);
        await Task.WhenAny(read, Task.Delay(Patience));
        Assert.True(read.IsCompleted);
        Assert.True((await pair.Output.FlushAsync()).IsCompleted);
    }

    /// <summary>A connection that is closed with bytes nobody read still gives the client its answer.</summary>
    [Fact]
    public async Task Close_WithUnreadBytes_DoesNotTakeTheAnswerAway()
    {
        await using var pair = await ConnectAsync();
        await SendAllAsync(pair.Client, Bytes(200_000));
        await Task.Delay(100);
        "answer"u8.CopyTo(pair.Output.GetSpan(6));
        pair.Output.Advance(6);
        await pair.Output.FlushAsync();
        await pair.Server.DisposeAsync();
        Assert.Equal("answer"u8.ToArray(), await ReceiveAsync(pair.Client, 6));
        Assert.Equal(0, await pair.Client.ReceiveAsync(new byte[1]));
    }

    /// <summary>Kestrel does not say that it has read its last.</summary>
    [Fact]
    public async Task Close_GivesTheBufferBack()
    {
        await using var pair = await ConnectAsync();
        await pair.Client.SendAsync("GET"u8.ToArray());
        var read = await pair.Input.ReadAsync();
        Assert.True(MemoryMarshal.TryGetArray(read.Buffer.First, out var shown));
        pair.Input.AdvanceTo(read.Buffer.Start);
        var closing = pair.Server.DisposeAsync();

        // What a thread gave back last is what it is given first.
        var rented = ArrayPool<byte>.Shared.Rent(shown.Array!.Length);
        Assert.Same(shown.Array, rented);
        ArrayPool<byte>.Shared.Return(rented);
        await closing;
    }

    private static Task<FlushResult> FlushAsync(SocketOutput output, ReadOnlyMemory<byte> block) => FlushOnceAsync(output, block).AsTask();

    private static async Task ClosedAsync(ConnectionContext connection)
    {
        var closed = new TaskCompletionSource();
        await using var registration = connection.ConnectionClosed.Register(closed.SetResult);
        await closed.Task.WaitAsync(Patience);
    }
}
