using System.Buffers;
using System.IO.Pipelines;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using System.Threading.Tasks.Sources;
using Proxy.Cache;

namespace Proxy.Server.Transport;

/// <summary>The output half of a connection, without Kestrel's copy: small writes gather in one buffer, attached blocks are sent from where they lie.</summary>
/// <remarks>
/// Kestrel still writes response heads; only the pipe between it and the socket is ours. Stock Kestrel copies every body byte into that pipe, which at 64 KiB and more is
/// the whole difference to a fast static server. A flush sends what the socket takes at once; only when it is full, or this connection's turn on the loop's thread is over,
/// is it waited for, and gone on with on that thread. Large pieces of cached blocks are lent to the kernel rather than copied. Used by one connection; Kestrel serialises the calls.
/// </remarks>
/// <param name="isNear">The client is on this machine, or as good as.</param>
internal sealed class SocketOutput(SafeSocketHandle socket, EventLoop loop, bool isNear) : PipeWriter, IBlockOutput, IHasTurns, IValueTaskSource<FlushResult>, IDisposable
{
    /// <summary>Room for a response head and a small body behind it.</summary>
    private const int InitialBufferBytes = 8 << 10;

    /// <summary>A block up to this size is copied behind the head: one plain send beats a gathered one there.</summary>
    private const int CopyBehindHeadBytes = 16 << 10;

    /// <summary>For whoever copies bodies.</summary>
    private const int LargeBufferBytes = 128 << 10;

    /// <summary>Sent in one turn, before the others have theirs.</summary>
    public const int MostInTurn = 1 << 20;

    /// <summary>
    /// What the kernel may hold of a copied answer to a client nearby. Left to itself it takes up to 4 MiB a connection, which have left the processor's caches before the client
    /// reads them: twice the CPU of 16 MiB, a third more of 1 MiB, a tenth of 256 KiB (bench/results/serving-path). Where net.core.wmem_max is Linux's own, 208 KiB
    /// come of it, and do as well. What is lent is in nobody's way: there more at once is half as much again at 1 MiB.
    /// </summary>
    internal const int NearSendBufferBytes = 256 << 10;

    /// <summary>A piece from this size on may be lent. The two system calls more than a copy takes leave a twentieth of gain here.</summary>
    internal const int LendFromBytes = 64 << 10;

    /// <summary>A loop with more connections leaves none to the kernel: what stalled clients keep of blocks that were evicted meanwhile is memory beside the cache's.</summary>
    private const int MostUnbounded = 128;

    private ManualResetValueTaskSourceCore<FlushResult> _waiter;
    private SocketReadiness _readiness;
    private byte[] _buffer = [];
    private int _buffered;

    // While a flush goes on: where what is still to send begins.
    private int _bufferedFrom;
    private ReadOnlyMemory<byte> _block;
    private bool _blockAwaitsAdvance;
    private bool _isLent;
    private bool _isBounded = isNear && NativeSocket.TryBoundSendBuffer(socket, NearSendBufferBytes);
    private volatile bool _gone;
    private bool _completed;
    private long _round;
    private long _sentBeforeRound;
    private long _waitsSince;

    private enum Progress
    {
        Done,
        Full,
        TurnOver,
    }

    bool IHasTurns.IsQueued { get; set; }

    public override bool CanGetUnflushedBytes => true;

    public override long UnflushedBytes => _buffered + _block.Length;

    /// <summary>Sent since the connection began.</summary>
    public long SentBytes { get; private set; }

    /// <summary>Nothing that is given from now on reaches the client.</summary>
    public bool IsGone => _gone;

    public void Attach(ReadOnlyMemory<byte> block)
    {
        if (!_block.IsEmpty)
        {
            throw new InvalidOperationException("A block is attached already: flush first.");
        }

        _block = block;
        _blockAwaitsAdvance = true;
        if (isNear && block.Length >= LendFromBytes)
        {
            _isLent = loop.ZeroCopy && MemoryMarshal.TryGetMemoryManager<byte, LendableMemory>(block, out var memory) && memory.TryLend(block.Length);
            BoundSendBuffer(!_isLent || loop.Count > MostUnbounded);
        }
        else
        {
            _isLent = false;
        }
    }

    public void Detach()
    {
        // Kestrel passes nothing on any more once it has given a connection up: neither the Advance for the block nor the flush.
        if (_blockAwaitsAdvance)
        {
            Discard();
        }
    }

    /// <summary>The connection is given up; any thread.</summary>
    public void GiveUp() => _gone = true;

    public override Memory<byte> GetMemory(int sizeHint = 0)
    {
        EnsureRoom(Math.Max(sizeHint, 1));
        return _buffer.AsMemory(_buffered);
    }

    public override Span<byte> GetSpan(int sizeHint = 0) => GetMemory(sizeHint).Span;

    public override void Advance(int bytes)
    {
        if (_blockAwaitsAdvance)
        {
            _blockAwaitsAdvance = false; // the bytes are the block's own: Kestrel has now counted them against Content-Length
            return;
        }

        if (!_block.IsEmpty)
        {
            throw new InvalidOperationException("Bytes behind an attached block: flush first.");
        }

        _buffered += bytes;
    }

    public override ValueTask<FlushResult> FlushAsync(CancellationToken cancellationToken = default)
    {
        if (!_block.IsEmpty && _buffered > 0 && _block.Length <= CopyBehindHeadBytes)
        {
            EnsureRoom(_block.Length);
            _block.Span.CopyTo(_buffer.AsSpan(_buffered));
            _buffered += _block.Length;
            _block = default;
        }

        var progress = Send();
        if (progress == Progress.Done)
        {
            return DoneAsync();
        }

        _waiter.Reset();
        var version = _waiter.Version;
        return Wait(progress) ? new ValueTask<FlushResult>(this, version) : DoneAsync();
    }

    /// <summary>Since when the client has taken nothing of what waits for it (<see cref="Environment.TickCount64"/>); 0 when nothing does.</summary>
    public long WaitsSince => Volatile.Read(ref _waitsSince);

    /// <summary>There is room again, or it is this connection's turn again.</summary>
    public void OnTurn()
    {
        if (_readiness.TryWake())
        {
            var progress = Send();
            if (progress == Progress.Done || !Wait(progress))
            {
                _waiter.SetResult(new FlushResult(isCanceled: false, isCompleted: _gone));
            }
        }
    }

    public override void CancelPendingFlush()
    {
        // Kestrel calls this only to unblock a flush when it aborts the connection; the socket's own failure does that here.
    }

    public override void Complete(Exception? exception = null)
    {
        if (_completed)
        {
            return;
        }

        _completed = true;
        if (!_gone && exception is null && _buffered > 0)
        {
            _ = TrySend(_buffer.AsSpan(_bufferedFrom, _buffered), default);
        }

        Discard();
    }

    public void Dispose() => ReturnBuffer();

    private ValueTask<FlushResult> DoneAsync() => new(new FlushResult(isCanceled: false, isCompleted: _gone));

    FlushResult IValueTaskSource<FlushResult>.GetResult(short token) => _waiter.GetResult(token);

    ValueTaskSourceStatus IValueTaskSource<FlushResult>.GetStatus(short token) => _waiter.GetStatus(token);

    void IValueTaskSource<FlushResult>.OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags)
        => _waiter.OnCompleted(continuation, state, token, flags);

    /// <summary>Waits for what <see cref="Send"/> has met; sends on where that has passed meanwhile.</summary>
    /// <returns>False when everything is out after all.</returns>
    private bool Wait(Progress met)
    {
        while (true)
        {
            if (met == Progress.TurnOver)
            {
                _readiness.Clear();
            }

            if (_waitsSince == 0)
            {
                Volatile.Write(ref _waitsSince, Environment.TickCount64);
            }

            if (_readiness.TryWait())
            {
                if (met == Progress.TurnOver)
                {
                    loop.Later(this);
                }

                return true;
            }

            met = Send();
            if (met == Progress.Done)
            {
                return false;
            }
        }
    }

    private Progress Send()
    {
        while (!_gone && (_buffered > 0 || !_block.IsEmpty))
        {
            var most = LeftOfTurn();
            if (most <= 0)
            {
                return Progress.TurnOver;
            }

            _readiness.Clear();
            var head = _buffer.AsSpan(_bufferedFrom, _buffered);
            var block = _block.Span[..Math.Min(_block.Length, most)];
            var isFull = false;

            // Head and block in one system call; a head before lent pages in one of its own.
            var sent = !_isLent ? TrySend(head, block) : head.IsEmpty ? TryLend(block, out isFull) : TrySend(head, default, hasMore: !block.IsEmpty);
            if (sent == NativeSocket.Gone)
            {
                return Progress.Done;
            }

            if (sent == NativeSocket.WouldBlock)
            {
                return Progress.Full;
            }

            _waitsSince = 0;
            SentBytes += sent;
            var ofHead = Math.Min(sent, _buffered);
            _bufferedFrom += ofHead;
            _buffered -= ofHead;
            _block = _block[(sent - ofHead)..];
            if (isFull)
            {
                return Progress.Full;
            }
        }

        // A connection with nothing to send has no buffer: thousands of them share the few that are in use, and in the processor's caches.
        Discard();
        ReturnBuffer();
        return Progress.Done;
    }

    /// <summary>On the loop's thread others wait for theirs.</summary>
    private int LeftOfTurn()
    {
        if (!loop.IsCurrent)
        {
            return int.MaxValue;
        }

        if (_round != loop.Round)
        {
            (_round, _sentBeforeRound) = (loop.Round, SentBytes);
        }

        return (int)Math.Max(0, MostInTurn - (SentBytes - _sentBeforeRound));
    }

    /// <returns>Bytes the socket took at once, or what <see cref="NativeSocket.TrySend"/> says where there are none.</returns>
    private int TrySend(ReadOnlySpan<byte> head, ReadOnlySpan<byte> body, bool hasMore = false)
    {
        try
        {
            return Seen(NativeSocket.TrySend(socket, head, body, hasMore));
        }
        catch (ObjectDisposedException)
        {
            return Seen(NativeSocket.Gone);
        }
    }

    /// <inheritdoc cref="TrySend"/>
    /// <param name="isFull">There is no use in trying again before the socket's event.</param>
    private int TryLend(ReadOnlySpan<byte> block, out bool isFull)
    {
        isFull = false;
        if (loop.BorrowPipe() is not { } pipe)
        {
            return TrySend(default, block);
        }

        var sent = NativeSocket.Gone;
        try
        {
            sent = pipe.TrySend(socket, block, out isFull);
        }
        catch (ObjectDisposedException)
        {
        }
        finally
        {
            loop.ReturnPipe(pipe, Math.Max(0, sent));
        }

        if (sent != 0)
        {
            return Seen(sent);
        }

        _isLent = false;
        return TrySend(default, block);
    }

    private int Seen(int sent)
    {
        if (sent == NativeSocket.Gone)
        {
            _gone = true;
            Discard();
        }

        return sent;
    }

    private void BoundSendBuffer(bool bounded)
    {
        // Smaller answers fit either way.
        if (_block.Length > NearSendBufferBytes && bounded != _isBounded && NativeSocket.TryBoundSendBuffer(socket, bounded ? NearSendBufferBytes : 0))
        {
            _isBounded = bounded;
        }
    }

    private void Discard()
    {
        (_buffered, _bufferedFrom, _waitsSince) = (0, 0, 0);
        _block = default;
        _blockAwaitsAdvance = false;
        _isLent = false; // or the next head, with no block behind it, would wait in the kernel for what never comes
    }

    private void EnsureRoom(int bytes)
    {
        if (_buffer.Length - _buffered >= bytes)
        {
            return;
        }

        // More than a head and a small body: somebody copies a large one, in steps as large as the room there is.
        var larger = ArrayPool<byte>.Shared.Rent(Math.Max(_buffer.Length == 0 ? InitialBufferBytes : LargeBufferBytes, _buffered + bytes));
        _buffer.AsSpan(0, _buffered).CopyTo(larger);
        var old = _buffer;
        _buffer = larger;
        if (old.Length > 0)
        {
            ArrayPool<byte>.Shared.Return(old);
        }
    }

    private void ReturnBuffer()
    {
        var buffer = _buffer;
        _buffer = [];
        if (buffer.Length > 0)
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }
}
