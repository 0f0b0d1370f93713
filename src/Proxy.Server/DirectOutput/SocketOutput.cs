using System.Buffers;
using System.IO.Pipelines;
using System.Net.Sockets;

namespace Proxy.Server.DirectOutput;

/// <summary>The output half of a connection, without Kestrel's copy: small writes gather in one buffer, attached blocks are sent from where they lie.</summary>
/// <remarks>
/// Kestrel still parses requests and writes response heads; only the pipe between it and the socket is ours. Stock Kestrel copies every body
/// byte into that pipe, which at 64 KiB and more is the whole difference to a fast static server (docs/architecture.md, "The serving path").
/// A flush tries a non-blocking send first and awaits the socket only when it is full. Used by one connection; Kestrel serialises the calls.
/// </remarks>
internal sealed class SocketOutput(Socket socket, PipeWriter transport) : PipeWriter, IBlockOutput, IDisposable
{
    /// <summary>Room for a response head and a small body behind it.</summary>
    private const int InitialBufferBytes = 8 << 10;

    /// <summary>A block up to this size is copied behind the head: one plain send beats a gathered one there.</summary>
    private const int CopyBehindHeadBytes = 16 << 10;

    /// <summary>An idle connection keeps no more buffer than this.</summary>
    private const int KeptBufferBytes = 64 << 10;

    private byte[] _buffer = [];
    private int _buffered;
    private ReadOnlyMemory<byte> _block;
    private bool _blockAwaitsAdvance;
    private bool _gone;
    private bool _completed;

    public override bool CanGetUnflushedBytes => true;

    public override long UnflushedBytes => _buffered + _block.Length;

    public void Attach(ReadOnlyMemory<byte> block)
    {
        if (!_block.IsEmpty)
        {
            throw new InvalidOperationException("A block is attached already: flush first.");
        }

        _block = block;
        _blockAwaitsAdvance = true;
    }

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
        if (_gone)
        {
            Discard();
            return DoneAsync();
        }

        if (!_block.IsEmpty && _buffered > 0 && _block.Length <= CopyBehindHeadBytes)
        {
            EnsureRoom(_block.Length);
            _block.Span.CopyTo(_buffer.AsSpan(_buffered));
            _buffered += _block.Length;
            _block = default;
        }

        // 1. Head and block in one system call.
        if (_buffered > 0 || !_block.IsEmpty)
        {
            var sent = TrySend(_buffer.AsSpan(0, _buffered), _block.Span);
            if (sent < 0)
            {
                return DoneAsync();
            }

            if (sent < _buffered)
            {
                return FlushSlowlyAsync(sent);
            }

            _block = _block[(sent - _buffered)..];
            _buffered = 0;
        }

        // 2. The rest of the block, for as long as the socket takes it at once.
        while (!_block.IsEmpty)
        {
            var sent = TrySend(default, _block.Span);
            if (sent < 0)
            {
                return DoneAsync();
            }

            if (sent == 0)
            {
                return FlushSlowlyAsync(0);
            }

            _block = _block[sent..];
        }

        _block = default;
        ShrinkBuffer();
        return DoneAsync();
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
            _ = TrySend(_buffer.AsSpan(0, _buffered), default);
        }

        Discard();
        transport.Complete(exception);
    }

    public void Dispose()
    {
        var buffer = _buffer;
        _buffer = [];
        if (buffer.Length > 0)
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    private ValueTask<FlushResult> DoneAsync() => new(new FlushResult(isCanceled: false, isCompleted: _gone));

    private async ValueTask<FlushResult> FlushSlowlyAsync(int headSent)
    {
        try
        {
            while (headSent < _buffered)
            {
                headSent += await socket.SendAsync(_buffer.AsMemory(headSent, _buffered - headSent), SocketFlags.None);
            }

            _buffered = 0;
            while (!_block.IsEmpty)
            {
                var sent = await socket.SendAsync(_block, SocketFlags.None);
                _block = _block[sent..];
            }
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            _gone = true;
            Discard();
        }

        return new FlushResult(isCanceled: false, isCompleted: _gone);
    }

    /// <returns>Bytes the socket took at once, 0 when it is full, -1 when the connection is gone.</returns>
    private int TrySend(ReadOnlySpan<byte> head, ReadOnlySpan<byte> body)
    {
        try
        {
            var sent = NativeSocket.TrySend(socket.SafeHandle, head, body);
            if (sent >= 0)
            {
                return sent;
            }
        }
        catch (ObjectDisposedException)
        {
        }

        _gone = true;
        Discard();
        return -1;
    }

    private void Discard()
    {
        _buffered = 0;
        _block = default;
        _blockAwaitsAdvance = false;
    }

    private void EnsureRoom(int bytes)
    {
        if (_buffer.Length - _buffered >= bytes)
        {
            return;
        }

        var larger = ArrayPool<byte>.Shared.Rent(Math.Max(InitialBufferBytes, _buffered + bytes));
        _buffer.AsSpan(0, _buffered).CopyTo(larger);
        var old = _buffer;
        _buffer = larger;
        if (old.Length > 0)
        {
            ArrayPool<byte>.Shared.Return(old);
        }
    }

    private void ShrinkBuffer()
    {
        if (_buffer.Length > KeptBufferBytes)
        {
            ArrayPool<byte>.Shared.Return(_buffer);
            _buffer = [];
        }
    }
}
