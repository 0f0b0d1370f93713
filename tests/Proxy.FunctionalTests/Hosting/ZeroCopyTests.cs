using System.Net.Sockets;
using Proxy.Cache.Blocks;
using Proxy.Server.Transport;

namespace Proxy.FunctionalTests.Hosting;

/// <summary>Memory that is lent to the kernel instead of copied: what arrives is what was there when it was sent, whenever the client reads it.</summary>
public sealed class ZeroCopyTests : BareTransport
{
    /// <summary>The block is given back and its memory rented and written again while the client has not read a byte.</summary>
    [Theory]
    [InlineData(256 << 10)]
    [InlineData(1 << 20)]
    [InlineData(2 << 20)]
    public async Task Client_ReadsAfterTheMemoryIsAnothersBlock_HasTheBytesThatWereSent(int length)
    {
        using var pool = new BlockPool(16 << 20);
        using var pipe = ZeroCopyPipe.TryOpen(pipes: 4)!;
        var expected = Bytes(length);
        for (var round = 0; round < 20; round++)
        {
            await using var pair = await ConnectAsync();
            var block = Lent(pool, expected);
            var neighbour = Lent(pool, expected);
            var sent = pipe.TrySend(pair.Server.Socket, block.Span, out _);
            Assert.InRange(sent, 1, length);
            block.Release();
            neighbour.Release();
            var others = new List<Block>();
            while (pool.TryRent(length, out var other))
            {
                other.Span.Fill(0xEE);
                others.Add(other);
            }

            Assert.True((await ReceiveAsync(pair.Client, sent)).AsSpan().SequenceEqual(expected.AsSpan(0, sent)));
            others.ForEach(static other => other.Release());
        }
    }

    /// <summary>What one connection had no room for is not sent to the next.</summary>
    [Fact]
    public async Task Send_SocketIsFull_LeavesNothingBehind()
    {
        using var pipe = ZeroCopyPipe.TryOpen(pipes: 4)!;
        await using var full = await ConnectAsync(receiveBufferBytes: 4096);
        await using var next = await ConnectAsync();
        var (first, second) = (Bytes(20 << 20), Bytes(100_000));
        var taken = pipe.TrySend(full.Server.Socket, first, out var isFull);
        Assert.True(isFull);
        Assert.InRange(taken, 1, first.Length - 1);
        Assert.Equal(NativeSocket.WouldBlock, pipe.TrySend(full.Server.Socket, first.AsSpan(taken), out isFull));
        Assert.True(isFull);
        Assert.Equal(second.Length, pipe.TrySend(next.Server.Socket, second, out isFull));
        Assert.False(isFull);
        Assert.Equal(second, await ReceiveAsync(next.Client, second.Length));
        Assert.Equal(first[..taken], await ReceiveAsync(full.Client, taken));
        Assert.False(pipe.IsBroken);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Send_ConnectionIsGone_LeavesNothingBehind(bool reset)
    {
        using var pipe = ZeroCopyPipe.TryOpen(pipes: 4)!;
        await using var next = await ConnectAsync();
        await using (var gone = await ConnectAsync())
        {
            if (reset)
            {
                gone.Client.LingerState = new LingerOption(enable: true, 0);
                gone.Client.Dispose();
                await Task.Delay(50);
            }
            else
            {
                gone.Server.Abort();
            }

            Assert.Equal(NativeSocket.Gone, pipe.TrySend(gone.Server.Socket, Bytes(1 << 20), out _));
            Assert.False(pipe.IsBroken);
        }

        var bytes = Bytes(300_000);
        Assert.Equal(bytes.Length, pipe.TrySend(next.Server.Socket, bytes, out _));
        Assert.Equal(bytes, await ReceiveAsync(next.Client, bytes.Length));
    }

    [Fact]
    public async Task Send_SocketIsClosed_LeavesNothingBehind()
    {
        using var pipe = ZeroCopyPipe.TryOpen(pipes: 4)!;
        var closed = await ConnectAsync();
        await closed.DisposeAsync();
        Assert.Throws<ObjectDisposedException>(() => pipe.TrySend(closed.Server.Socket, Bytes(1 << 20), out _));
        await using var next = await ConnectAsync();
        var bytes = Bytes(300_000);
        Assert.Equal(bytes.Length, pipe.TrySend(next.Server.Socket, bytes, out _));
        Assert.Equal(bytes, await ReceiveAsync(next.Client, bytes.Length));
    }

    /// <summary>A thread that is held up with a pipe in its hands makes no other copy, as long as there is one more; the loop's own is nobody else's.</summary>
    [Theory]
    [InlineData(2, 4)]
    [InlineData(16, 1)]
    public void Pipes_AreForOneAtATime(int loops, int others)
    {
        using var pipes = new LoopPipes(loops);
        var own = pipes.Borrow(own: true)!;
        Assert.Null(pipes.Borrow(own: true));
        var lent = new List<ZeroCopyPipe>();
        while (pipes.Borrow(own: false) is { } pipe)
        {
            lent.Add(pipe);
        }

        Assert.Equal(others, lent.Count);
        Assert.Equal(others + 1, lent.Append(own).Distinct().Count());
        pipes.Return(lent[^1], own: false);
        Assert.Same(lent[^1], pipes.Borrow(own: false));
        Assert.Null(pipes.Borrow(own: false));

        // What comes back after the end is not lent again.
        pipes.Dispose();
        lent.ForEach(pipe => pipes.Return(pipe, own: false));
        Assert.Null(pipes.Borrow(own: false));
        pipes.Return(own, own: true);
        pipes.DisposeOwn();
        Assert.Null(pipes.Borrow(own: true));
        Assert.True(pipes.IsUsable);
    }

    /// <summary>Through the whole output, head and all, to a client that reads late: from the loop's thread and from others.</summary>
    [Fact]
    public async Task Flush_OfLentBlocks_ArrivesInOrder()
    {
        using var pool = new BlockPool(64 << 20);
        await using var pair = await ConnectAsync(receiveBufferBytes: 64 << 10);
        var bytes = Bytes(4 << 20);
        var blocks = bytes.Chunk(1 << 20).Select(chunk => Lent(pool, chunk)).ToList();
        var receiving = Task.Run(async () =>
        {
            await Task.Delay(100);
            return await ReceiveAsync(pair.Client, blocks.Count * (5 + (1 << 20)));
        });
        foreach (var block in blocks)
        {
            "head:"u8.CopyTo(pair.Output.GetSpan(5));
            pair.Output.Advance(5);
            await FlushOnceAsync(pair.Output, block.Memory);
            Assert.True(block.IsLent);
            block.Release();
        }

        var expected = bytes.Chunk(1 << 20).SelectMany(chunk => "head:"u8.ToArray().Concat(chunk)).ToArray();
        Assert.True((await receiving.WaitAsync(Patience)).AsSpan().SequenceEqual(expected));
    }

    /// <summary>What is copied must not leave the processor's caches; what is lent may wait in the kernel as the kernel likes.</summary>
    [Fact]
    public async Task SendBuffer_IsBoundedForCopiesAlone()
    {
        using var pool = new BlockPool(64 << 20);
        await using var pair = await ConnectAsync();
        using var server = new Socket(new SafeSocketHandle(pair.Server.Socket.DangerousGetHandle(), ownsHandle: false));
        var bounded = server.SendBufferSize;
        var bytes = Bytes(1 << 20);
        var lent = Lent(pool, bytes);
        for (var sends = 0; server.SendBufferSize == bounded; sends++)
        {
            Assert.True(sends < 100, "The send buffer does not grow.");
            var flush = FlushOnceAsync(pair.Output, lent.Memory);
            await Task.Delay(5);
            Assert.Equal(bytes, await ReceiveAsync(pair.Client, bytes.Length));
            await flush;
        }

        var copied = FlushOnceAsync(pair.Output, bytes);
        Assert.Equal(bytes, await ReceiveAsync(pair.Client, bytes.Length));
        await copied;
        Assert.Equal(bounded, server.SendBufferSize);
        lent.Release();
    }

    /// <summary>BBR's timers are what large bodies cost within a machine.</summary>
    [Fact]
    public async Task Client_Nearby_IsNotPaced()
    {
        var available = await File.ReadAllTextAsync("/proc/sys/net/ipv4/tcp_available_congestion_control");
        Assert.SkipUnless(available.Contains("bbr", StringComparison.Ordinal), "this kernel has no BBR");
        using var listening = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        Assert.True(CongestionControl.TrySet(listening, "bbr"), "BBR may not be chosen.");
        Assert.Equal("bbr", CongestionControl.LeaveUnpaced(listening));
        Assert.Contains(CongestionControl.Of(listening), new[] { "cubic", "reno" });
        Assert.Null(CongestionControl.LeaveUnpaced(listening));

        await using var pair = await ConnectAsync();
        using var server = new Socket(new SafeSocketHandle(pair.Server.Socket.DangerousGetHandle(), ownsHandle: false));
        Assert.DoesNotContain("bbr", CongestionControl.Of(server), StringComparison.Ordinal);
        Assert.True(CongestionControl.TrySet(server, "bbr"), "What a client from afar is given.");
        Assert.Equal("bbr", CongestionControl.Of(server));
    }

    private static Block Lent(BlockPool pool, byte[] bytes)
    {
        Assert.True(pool.TryRent(bytes.Length, out var block), "The pool is full.");
        bytes.CopyTo(block.Span);
        block.Settle();
        for (var sends = 0; sends < 64; sends++)
        {
            block.TryLend(bytes.Length);
        }

        Assert.True(block.IsLent);
        return block;
    }
}
