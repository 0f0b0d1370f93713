using System.Buffers;
using System.IO.Pipelines;
using System.Threading.Tasks.Sources;
using Microsoft.AspNetCore.Connections;

namespace Proxy.Server.Transport;

/// <summary>The input half of a connection: received when it is asked for, straight into the buffer that is shown.</summary>
/// <remarks>
/// Nothing is read ahead, so what a client sends and nobody reads stays in the kernel, and a connection that waits has no buffer. Who waits is gone on with on the loop's
/// thread. On another thread, where a request that left the loop may end (the pool's, one that reads NVMe), its turn is over at the first look behind as much as the loop allows, and
/// it goes on behind everybody who waits for the pool. One reader at a time, as every <see cref="PipeReader"/>; <see cref="CancelPendingRead"/> is for any thread.
/// </remarks>
internal sealed class SocketInput(SocketConnection connection, EventLoop loop) : PipeReader, IHasTurns, IThreadPoolWorkItem, IValueTaskSource<ReadResult>
{
    /// <summary>Room for the head of a request, and several small ones.</summary>
    private const int SmallBufferBytes = 16 << 10;

    /// <summary>For bodies: where a receive has filled the small one.</summary>
    private const int LargeBufferBytes = 128 << 10;

    /// <summary>Less room than this behind what is still needed: what is needed moves to the front.</summary>
    private const int LeastRoomBytes = 4 << 10;

    /// <summary>Looks at what is there already, in one turn: requests that came together.</summary>
    private const int MostLooksInTurn = 32;

    private ManualResetValueTaskSourceCore<ReadResult> _waiter;
    private SocketReadiness _readiness;
    private CancellationToken _token;
    private CancellationTokenRegistration _registration;

    // What is shown lies between _start and _end.
    private byte[] _buffer = [];
    private int _start;
    private int _end;

    // All of it has been looked at, and is no use without more.
    private bool _wantsMore = true;
    private bool _isLarge;
    private bool _isEnded;
    private Exception? _failure;
    private long _round;
    private int _looks;

    // What the output had sent when this one last waited.
    private long _sentBefore;
    private volatile bool _isHungUp;
    private int _isCancelled;

    bool IHasTurns.IsQueued { get; set; }

    public override ValueTask<ReadResult> ReadAsync(CancellationToken cancellationToken = default)
    {
        cancellationToken.ThrowIfCancellationRequested();
        var isTurnOver = false;
        if (TryLook(out var result))
        {
            // Not what a cancellation ends: it was taken with this look, and is told once.
            isTurnOver = !result.IsCanceled && IsTurnOver();
            if (!isTurnOver)
            {
                return TellAsync(result);
            }

            _readiness.Clear();
        }

        _waiter.Reset();
        var version = _waiter.Version;
        _sentBefore = connection.Output.SentBytes;
        if (!loop.IsCurrent)
        {
            _looks = 0;
        }

        if (cancellationToken.CanBeCanceled)
        {
            _token = cancellationToken;
            _registration = cancellationToken.UnsafeRegister(static input => ((SocketInput)input!).StopWaiting(), this);
        }

        if (_start == _end)
        {
            ReturnBuffer();
        }

        while (true)
        {
            if (_readiness.TryWait())
            {
                // Looked at once more: neither could end a wait that had not begun.
                var isOver = Volatile.Read(ref _isCancelled) != 0 || cancellationToken.IsCancellationRequested;
                if (!isOver || !_readiness.TryCancelWait())
                {
                    if (isTurnOver)
                    {
                        QueueTurn();
                    }

                    return new ValueTask<ReadResult>(this, version);
                }
            }

            if (cancellationToken.IsCancellationRequested)
            {
                Unregister();
                throw new OperationCanceledException(cancellationToken);
            }

            if (TryLook(out result))
            {
                Unregister();
                return TellAsync(result);
            }
        }
    }

    public override bool TryRead(out ReadResult result)
    {
        var any = TryLook(out result);
        return any && _failure is not null ? throw _failure : any;
    }

    public override void AdvanceTo(SequencePosition consumed) => AdvanceTo(consumed, consumed);

    public override void AdvanceTo(SequencePosition consumed, SequencePosition examined)
    {
        if (_start == _end)
        {
            return; // nothing was shown
        }

        _wantsMore = examined.GetInteger() == _end;
        _start = consumed.GetInteger();
        if (_start == _end)
        {
            (_start, _end, _wantsMore) = (0, 0, true);
        }
    }

    public override void CancelPendingRead()
    {
        Interlocked.Exchange(ref _isCancelled, 1);
        StopWaiting();
    }

    /// <summary>Nobody reads any more.</summary>
    public override void Complete(Exception? exception = null) => ReturnBuffer();

    /// <summary>Something has arrived, or it is this connection's turn again.</summary>
    public void OnTurn()
    {
        if (_readiness.TryWake())
        {
            GoOn();
        }
    }

    /// <summary>The client has said its last, or is gone.</summary>
    /// <param name="isDead">Both ways: nobody waits for an answer to what has come and is not read yet.</param>
    public void OnHangUp(bool isDead)
    {
        _isHungUp = true;
        try
        {
            if (isDead || NativeSocket.IsAtEnd(connection.Socket))
            {
                connection.Closed();
            }
        }
        catch (ObjectDisposedException)
        {
            // Closed by us.
        }
    }

    void IThreadPoolWorkItem.Execute() => OnTurn();

    ReadResult IValueTaskSource<ReadResult>.GetResult(short token)
    {
        Unregister();
        return _waiter.GetResult(token);
    }

    ValueTaskSourceStatus IValueTaskSource<ReadResult>.GetStatus(short token) => _waiter.GetStatus(token);

    void IValueTaskSource<ReadResult>.OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags)
        => _waiter.OnCompleted(continuation, state, token, flags);

    private ValueTask<ReadResult> TellAsync(in ReadResult result) => _failure is null ? new ValueTask<ReadResult>(result) : ValueTask.FromException<ReadResult>(_failure);

    /// <summary>Goes on behind everybody else who waits for this thread, or for one of the pool.</summary>
    private void QueueTurn()
    {
        if (loop.IsCurrent)
        {
            loop.Later(this);
        }
        else
        {
            ThreadPool.UnsafeQueueUserWorkItem(this, preferLocal: false);
        }
    }

    private bool IsTurnOver()
    {
        if (!loop.IsCurrent)
        {
            // The output ends no turn elsewhere: an answer that left the loop goes on until it is whole.
            return ++_looks > MostLooksInTurn || connection.Output.SentBytes - _sentBefore >= SocketOutput.MostInTurn;
        }

        if (_round != loop.Round)
        {
            (_round, _looks) = (loop.Round, 0);
        }

        return ++_looks > MostLooksInTurn;
    }

    /// <summary>Ends a wait whose reader wants it ended; goes on elsewhere, since whoever asked has other things to do.</summary>
    private void StopWaiting()
    {
        if (_readiness.TryCancelWait())
        {
            ThreadPool.UnsafeQueueUserWorkItem(static input => input.GoOn(), this, preferLocal: false);
        }
    }

    /// <summary>For who has ended a wait: tells the reader what there is, or begins to wait again.</summary>
    private void GoOn()
    {
        while (true)
        {
            if (TryLook(out var result))
            {
                if (_failure is null)
                {
                    _waiter.SetResult(result);
                }
                else
                {
                    _waiter.SetException(_failure);
                }

                return;
            }

            if (_token.IsCancellationRequested)
            {
                _waiter.SetException(new OperationCanceledException(_token));
                return;
            }

            if (_start == _end)
            {
                ReturnBuffer();
            }

            if (_readiness.TryWait())
            {
                var isOver = Volatile.Read(ref _isCancelled) != 0 || _token.IsCancellationRequested;
                if (!isOver || !_readiness.TryCancelWait())
                {
                    return;
                }
            }
        }
    }

    /// <returns>False when there is nothing to tell.</returns>
    private bool TryLook(out ReadResult result)
    {
        var isCancelled = Volatile.Read(ref _isCancelled) != 0 && Interlocked.Exchange(ref _isCancelled, 0) != 0;
        var any = isCancelled || (_end > _start && !_wantsMore) || _isEnded || (_readiness.IsReady && TryReceive());
        result = any ? new ReadResult(new ReadOnlySequence<byte>(_buffer, _start, _end - _start), isCancelled, _isEnded) : default;
        return any;
    }

    private bool TryReceive()
    {
        MakeRoom();
        var room = _buffer.AsSpan(_end);
        _readiness.Clear();
        int received;
        try
        {
            received = NativeSocket.TryReceive(connection.Socket, room);
        }
        catch (ObjectDisposedException)
        {
            received = NativeSocket.Gone;
        }

        switch (received)
        {
            case NativeSocket.WouldBlock:
                return false;
            case 0:
                _isEnded = true;
                connection.Closed();
                return true;
            case NativeSocket.Gone:
                _isEnded = true;
                _failure = new ConnectionResetException("The client is gone.");
                connection.Closed();
                return true;
        }

        // Less than asked for is all there is: what comes later is an event of its own. Not so the end, which may have come with it.
        if (received == room.Length || _isHungUp)
        {
            _readiness.Set();
        }

        _isLarge = received >= SmallBufferBytes;
        _end += received;
        _wantsMore = false;
        return true;
    }

    private void MakeRoom()
    {
        var held = _end - _start;
        var wanted = _isLarge ? LargeBufferBytes : SmallBufferBytes;
        if (held == 0)
        {
            (_start, _end) = (0, 0);
            if (_buffer.Length < wanted)
            {
                ReturnBuffer();
                _buffer = ArrayPool<byte>.Shared.Rent(wanted);
            }
        }
        else if (_buffer.Length - _end < LeastRoomBytes)
        {
            // Kestrel says how much it takes without consuming anything: that bounds how far this grows.
            var from = _buffer;
            var to = held > from.Length / 2 ? ArrayPool<byte>.Shared.Rent(from.Length * 2) : from;
            from.AsSpan(_start, held).CopyTo(to);
            (_buffer, _start, _end) = (to, 0, held);
            if (to != from)
            {
                ArrayPool<byte>.Shared.Return(from);
            }
        }
    }

    private void ReturnBuffer()
    {
        var buffer = _buffer;
        (_buffer, _start, _end) = ([], 0, 0);
        if (buffer.Length > 0)
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    private void Unregister()
    {
        if (_token.CanBeCanceled)
        {
            _registration.Dispose();
            (_registration, _token) = (default, default);
        }
    }
}
