using System.Diagnostics;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using Proxy.Bench.Http;

namespace Proxy.Bench.Load;

/// <summary>One keep-alive connection of a load: always exactly one request in flight, its body discarded in the kernel.</summary>
/// <remarks>
/// Driven by its <see cref="LoadThread"/>, which calls <see cref="Advance"/> when bytes are there; that thread's own. The socket is .NET's, the
/// calls on it are not: its own async machinery costs a load generator more than the work.
/// </remarks>
internal sealed unsafe class LoadConnection : IDisposable
{
    private const int HeadBytes = 8 << 10;
    private const int CheckEvery = 512;

    private readonly LoadThread _thread;
    private readonly S3Target _target;
    private readonly Random _random;
    private readonly byte[] _buffer = GC.AllocateUninitializedArray<byte>(HeadBytes, pinned: true);
    private Socket _socket;
    private int _descriptor;
    private LoadRequest _request;
    private ResponseHeader _header;
    private long _started;
    private int _received;
    private long _remaining;
    private long _sent;
    private bool _inBody;
    private bool _isChecked;

    public LoadConnection(LoadThread thread, S3Target target, int seed, bool checksFirst)
    {
        _thread = thread;
        _random = new Random(seed);
        _sent = checksFirst ? 0 : 1;
        _target = target;
        _socket = Connect();
        _descriptor = (int)_socket.SafeHandle.DangerousGetHandle();
    }

    public int Descriptor => _descriptor;

    /// <summary>False when its last answer is in and none is asked for any more.</summary>
    public bool IsBusy { get; private set; }

    /// <summary>The server closes it behind its last answer: the next request needs another.</summary>
    public bool IsClosed { get; private set; }

    public void Dispose()
    {
        IsBusy = false;
        _socket.Dispose();
    }

    /// <summary>Another connection in place of one that is gone; what is drawn goes on where it was.</summary>
    public void Reconnect()
    {
        Dispose();
        IsClosed = false;
        _socket = Connect();
        _descriptor = (int)_socket.SafeHandle.DangerousGetHandle();
    }

    /// <summary>Draws the next request and sends it.</summary>
    public void Begin()
    {
        _request = _thread.Plan.Draw(_random);
        var bytes = _thread.RequestBuffer;
        var length = _thread.Writer.Write(_request, bytes);
        // One connection's first answer and then one in 512 is compared byte for byte; the others' bytes never leave the kernel.
        _isChecked = _sent++ % CheckEvery == 0;
        _received = 0;
        _inBody = false;
        IsBusy = true;
        _started = Stopwatch.GetTimestamp();
        fixed (byte* start = bytes)
        {
            var sent = Native.Send(_descriptor, start, (nuint)length, Native.DontWait | Native.NoSignal);
            if (sent != length)
            {
                // A few hundred bytes into an empty socket buffer: anything but all of them is a dead connection.
                throw new BrokenResponseException($"send: {sent} of {length} bytes, error {Marshal.GetLastPInvokeError()}");
            }
        }
    }

    /// <summary>Takes what has come. At the end of an answer it is recorded and, while the load goes on, the next request is sent.</summary>
    /// <exception cref="BrokenResponseException">The server closed, or answered what cannot be counted.</exception>
    public void Advance()
    {
        if (!_inBody)
        {
            var read = Receive(_buffer, _received, HeadBytes - _received, 0);
            if (read == 0)
            {
                return;
            }

            _received += read;
            if (!ResponseHeader.TryParse(_buffer.AsSpan(0, _received), out _header))
            {
                if (_received == HeadBytes)
                {
                    throw new BrokenResponseException($"a response head over {HeadBytes} bytes");
                }

                return;
            }

            BeginBody();
        }

        while (_remaining > 0)
        {
            var want = (int)Math.Min(_remaining, LoadThread.ScratchBytes);
            var read = Receive(_thread.Scratch, 0, want, _isChecked || _thread.TakesBodies ? 0 : Native.Truncate);
            if (read == 0)
            {
                return;
            }

            if (_isChecked)
            {
                _thread.Check(_request, _thread.Scratch.AsSpan(0, read), _request.Start + _request.Length - _remaining);
            }

            _remaining -= read;
            if (read < want)
            {
                // The socket is empty: epoll tells when more is there, which is cheaper than to be told "would block".
                return;
            }
        }

        _thread.Record(_request, _header, _started);
        IsBusy = false;
        IsClosed = _header.IsClosing;
        if (!_thread.IsOver && !IsClosed)
        {
            Begin();
        }
    }

    private void BeginBody()
    {
        _inBody = true;
        var isBodiless = _request.Operation == LoadOperation.Head || _header.Status is 204 or 304;
        if (!isBodiless && _header.ContentLength < 0)
        {
            throw new BrokenResponseException("an answer without Content-Length");
        }

        var early = _received - _header.HeadBytes;
        _remaining = (isBodiless ? 0 : _header.ContentLength) - early;
        if (_remaining < 0)
        {
            throw new BrokenResponseException($"{-_remaining} bytes more than Content-Length");
        }

        _isChecked &= _header.Status is 200 or 206 && _header.ContentLength == _request.Length && !isBodiless;
        if (_isChecked)
        {
            _thread.Check(_request, _buffer.AsSpan(_header.HeadBytes, early), _request.Start);
        }
    }

    private Socket Connect()
    {
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        try
        {
            socket.Connect(_target.Address);
            return socket;
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    /// <returns>0 when nothing is there yet.</returns>
    private int Receive(byte[] into, int offset, int length, int flags)
    {
        fixed (byte* start = &into[offset])
        {
            var read = Native.Receive(_descriptor, start, (nuint)length, flags | Native.DontWait);
            if (read > 0)
            {
                return (int)read;
            }

            if (read == 0)
            {
                throw new BrokenResponseException(_inBody ? $"short body: {_remaining} bytes were still to come" : "connection closed before an answer");
            }

            var error = Marshal.GetLastPInvokeError();
            return error is Native.WouldBlock or Native.Interrupted ? 0 : throw new BrokenResponseException($"recv: error {error}");
        }
    }
}
