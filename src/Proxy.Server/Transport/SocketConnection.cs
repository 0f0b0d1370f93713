using System.IO.Pipelines;
using System.Net.Sockets;
using Microsoft.AspNetCore.Connections;

namespace Proxy.Server.Transport;

/// <summary>A client's connection as Kestrel sees it, over a socket that an <see cref="EventLoop"/> watches.</summary>
/// <remarks>Kestrel owns it from <see cref="SocketListener.AcceptAsync"/> on and disposes it. <see cref="Abort(ConnectionAbortedException)"/> is for any thread.</remarks>
internal sealed class SocketConnection : DefaultConnectionContext, IIdleWatch
{
    // What a client has sent that nobody reads any more would make the system reset the connection, and the last answer be lost on its way.
    private const int DiscardedBytes = 1 << 20;

    private readonly Socket _socket;
    private readonly EventLoop _loop;
    private readonly CancellationTokenSource _closed = new();
    private long _idleSince;
    private int _isClosed;
    private int _isDisposed;

    /// <param name="isNear">The client is on this machine, or as good as.</param>
    public SocketConnection(Socket socket, EventLoop loop, bool isNear)
    {
        (_socket, _loop) = (socket, loop);
        Socket = socket.SafeHandle;
        socket.Blocking = false; // splice(2) cannot be told call by call
        Input = new SocketInput(this, loop);
        Output = new SocketOutput(Socket, loop, isNear);
        Transport = new Duplex(Input, Output);
        LocalEndPoint = socket.LocalEndPoint;
        RemoteEndPoint = socket.RemoteEndPoint;
        ConnectionClosed = _closed.Token;
        Features.Set<IBlockOutput>(Output);
        Features.Set<IIdleWatch>(this);
    }

    public SafeSocketHandle Socket { get; }

    public SocketInput Input { get; }

    public SocketOutput Output { get; }

    /// <summary>What the loop knows it by.</summary>
    public ulong Token { get; set; }

    /// <summary>Since when its next request is waited for (<see cref="Environment.TickCount64"/>); 0 while there is one, and where nobody says.</summary>
    public long IdleSince
    {
        get => Volatile.Read(ref _idleSince);
        set => Volatile.Write(ref _idleSince, value);
    }

    void IIdleWatch.RequestBegins() => IdleSince = 0;

    void IIdleWatch.RequestEnds() => IdleSince = Environment.TickCount64;

    /// <summary>What has happened to the socket. On the loop's thread.</summary>
    public void OnChange(uint changes)
    {
        if ((changes & (Epoll.Out | Epoll.Error | Epoll.HangUp)) != 0)
        {
            Output.OnTurn();
        }

        if ((changes & (Epoll.Error | Epoll.HangUp | Epoll.ReadHangUp)) != 0)
        {
            Input.OnHangUp(isDead: (changes & (Epoll.Error | Epoll.HangUp)) != 0);
        }

        if ((changes & (Epoll.In | Epoll.Error | Epoll.HangUp | Epoll.ReadHangUp)) != 0)
        {
            Input.OnTurn();
        }
    }

    /// <summary>The client sends nothing more, or is gone: whoever works for it may stop.</summary>
    public void Closed()
    {
        if (Interlocked.Exchange(ref _isClosed, 1) == 0)
        {
            ThreadPool.UnsafeQueueUserWorkItem(static connection => connection._closed.Cancel(), this, preferLocal: false);
        }
    }

    public override void Abort(ConnectionAbortedException abortReason)
    {
        Output.GiveUp();

        // The socket is closed by whoever disposes the connection: until then its number must not be another's.
        Shutdown(SocketShutdown.Both);
        Closed();
    }

    public override ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _isDisposed, 1) == 0)
        {
            _loop.Remove(this);
            Shutdown(SocketShutdown.Send);
            NativeSocket.Discard(Socket, DiscardedBytes);
            _socket.Dispose();
            Output.Dispose();
            Input.Complete(); // as Kestrel's own transport does: its HTTP/1 never says so
            Closed();
        }

        return base.DisposeAsync();
    }

    private void Shutdown(SocketShutdown how)
    {
        try
        {
            _socket.Shutdown(how);
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // Gone already.
        }
    }

    internal sealed class Duplex(PipeReader input, PipeWriter output) : IDuplexPipe
    {
        public PipeReader Input { get; } = input;

        public PipeWriter Output { get; } = output;
    }
}
