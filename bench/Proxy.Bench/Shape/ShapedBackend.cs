using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using Proxy.Bench.Http;

namespace Proxy.Bench.Shape;

/// <summary>An HTTP/1.1 forwarder on loopback that makes one server answer like another: later, slower, or not at all.</summary>
/// <remarks>
/// It passes heads and bodies on as they are, so signatures over Host hold when the server verifies what the client sent. The profile may change while
/// it runs. Also counts what was asked: the upstream requests of a workload are its <see cref="Requests"/>. Thread-safe.
/// </remarks>
internal sealed class ShapedBackend : IAsyncDisposable
{
    private readonly TcpListener _listener;
    private readonly IPEndPoint _server;
    private readonly CancellationTokenSource _stop = new();
    private readonly ConcurrentDictionary<ShapedConnection, byte> _connections = [];
    private readonly Task _accepting;
    private volatile BackendProfile _profile;
    private volatile bool _isDown;
    private volatile ConcurrentDictionary<string, WatchedRequest>? _watched;
    private long _requests;
    private long _bytes;
    private long _refused;
    private long _secondStarted = Stopwatch.GetTimestamp();
    private long _inSecond;

    /// <param name="signsAs">Whose reads those are that come without a signature, from a peer that cannot sign; null leaves them as they are.</param>
    public ShapedBackend(IPEndPoint listen, IPEndPoint server, BackendProfile profile, S3Target? signsAs = null)
    {
        _server = server;
        SignsAs = signsAs;
        _profile = profile;
        _listener = new TcpListener(listen);
        _listener.Start();
        _accepting = AcceptAsync();
    }

    public IPEndPoint Address => (IPEndPoint)_listener.LocalEndpoint;

    public S3Target? SignsAs { get; }

    public BackendProfile Profile
    {
        get => _profile;
        set => _profile = value;
    }

    /// <summary>While true every connection is cut as soon as it is seen: a stopped backend.</summary>
    public bool IsDown
    {
        get => _isDown;
        set
        {
            _isDown = value;
            if (value)
            {
                foreach (var connection in _connections.Keys)
                {
                    connection.Abort();
                }
            }
        }
    }

    /// <summary>Seen since the start, refused ones among them.</summary>
    public long Requests => Interlocked.Read(ref _requests);

    /// <summary>Of answers' bodies.</summary>
    public long Bytes => Interlocked.Read(ref _bytes);

    /// <summary>Answered 503 here.</summary>
    public long Refused => Interlocked.Read(ref _refused);

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        // Its listener last, as in StaticOrigin.
        await _accepting;
        _listener.Dispose();
        _stop.Dispose();
    }

    /// <summary>Begins to keep which objects are asked for, or ends it.</summary>
    /// <returns>What was kept since it began; empty when it had not.</returns>
    public IReadOnlyCollection<WatchedRequest> Watch(bool isOn)
    {
        var kept = Interlocked.Exchange(ref _watched, isOn ? new(StringComparer.Ordinal) : null);
        return kept is null ? [] : [.. kept.Values];
    }

    /// <summary>Notes one request.</summary>
    /// <returns>What its answer's bytes are added to; null when nobody wants to know.</returns>
    public WatchedRequest? Watch(in HttpHead request)
    {
        if (_watched is not { } watched)
        {
            return null;
        }

        // GET /bucket/key?query HTTP/1.1
        var words = request.Line.Split(' ', '?');
        var one = watched.GetOrAdd($"{words[0]} {words[1]}", static (_, words) => new WatchedRequest { Method = words[0], Path = words[1] }, words);
        one.Count();
        return one;
    }

    public void CountBytes(long bytes) => Interlocked.Add(ref _bytes, bytes);

    /// <summary>Counts a request and decides whether it is answered here, with 503.</summary>
    public bool Refuses()
    {
        var number = Interlocked.Increment(ref _requests);
        var profile = _profile;
        // Spread evenly, whatever the share: each time that another whole one of it is full.
        var isRefused = profile.RefusedShare > 0 && Math.Floor(number * profile.RefusedShare) > Math.Floor((number - 1) * profile.RefusedShare);
        if (!isRefused && profile.RequestsPerSecond > 0)
        {
            if (Stopwatch.GetElapsedTime(Interlocked.Read(ref _secondStarted)) > TimeSpan.FromSeconds(1))
            {
                Interlocked.Exchange(ref _secondStarted, Stopwatch.GetTimestamp());
                Interlocked.Exchange(ref _inSecond, 0);
            }

            isRefused = Interlocked.Increment(ref _inSecond) > profile.RequestsPerSecond;
        }

        if (isRefused)
        {
            Interlocked.Increment(ref _refused);
        }

        return isRefused;
    }

    private async Task AcceptAsync()
    {
        var running = new ConcurrentDictionary<Task, byte>();
        try
        {
            while (true)
            {
                var socket = await _listener.AcceptSocketAsync(_stop.Token);
                var connection = new ShapedConnection(this, socket, _server);
                _connections[connection] = 0;
                var task = RunAsync(connection);
                running[task] = 0;
                _ = task.ContinueWith(ended => running.TryRemove(ended, out _), TaskScheduler.Default);
            }
        }
        catch (Exception error) when (error is OperationCanceledException or SocketException)
        {
            await Task.WhenAll(running.Keys);
        }
    }

    private async Task RunAsync(ShapedConnection connection)
    {
        try
        {
            if (!_isDown)
            {
                await connection.RunAsync(_stop.Token);
            }
        }
        catch (Exception error) when (error is IOException or SocketException or OperationCanceledException or ObjectDisposedException)
        {
            // One end is gone: so is the connection.
        }
        finally
        {
            _connections.TryRemove(connection, out _);
            connection.Dispose();
        }
    }
}

/// <summary>What was asked of one object with one method.</summary>
internal sealed class WatchedRequest
{
    private long _requests;
    private long _bytes;

    public string Method { get; init; } = "";

    /// <summary>With the bucket, as it was sent; without the query.</summary>
    public string Path { get; init; } = "";

    /// <summary>Refused ones among them.</summary>
    public long Requests
    {
        get => Interlocked.Read(ref _requests);
        init => _requests = value;
    }

    /// <summary>Of answers' bodies.</summary>
    public long Bytes
    {
        get => Interlocked.Read(ref _bytes);
        init => _bytes = value;
    }

    public void Count() => Interlocked.Increment(ref _requests);

    public void Add(long bytes) => Interlocked.Add(ref _bytes, bytes);
}
