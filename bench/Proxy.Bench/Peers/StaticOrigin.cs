using System.Net;
using System.Net.Sockets;
using Proxy.Bench.Workloads;

namespace Proxy.Bench.Peers;

/// <summary>Serves objects over plain HTTP and looks at no signature: the one backend that all servers of a comparison stand in front of.</summary>
/// <remarks>Inside the bench's own process; nothing is asked of it once they are warm, which <see cref="Requests"/> shows. Thread-safe.</remarks>
internal sealed class StaticOrigin : IAsyncDisposable
{
    private readonly Func<string, DatasetObject?> _find;
    private readonly string _prefix;
    private readonly TcpListener _listener;
    private readonly CancellationTokenSource _stop = new();
    private readonly Task _accepting;
    private long _requests;

    /// <param name="find">An object by its key; null when there is none.</param>
    public StaticOrigin(IPEndPoint listen, string bucket, Func<string, DatasetObject?> find)
    {
        _find = find;
        _prefix = $"/{bucket}/";
        _listener = new TcpListener(listen);
        _listener.Start();
        _accepting = AcceptAsync();
    }

    public StaticOrigin(IPEndPoint listen, string bucket, IEnumerable<DatasetObject> objects)
        : this(listen, bucket, objects.ToDictionary(item => item.Key).GetValueOrDefault)
    {
    }

    public IPEndPoint Address => (IPEndPoint)_listener.LocalEndpoint;

    /// <summary>Answered since the start.</summary>
    public long Requests => Interlocked.Read(ref _requests);

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        // Its listener last: between two connections nothing is being accepted that a disposed listener could end, and asking one for the next is an error of its own.
        await _accepting;
        _listener.Dispose();
        _stop.Dispose();
    }

    /// <param name="path">Decoded, with the bucket.</param>
    public DatasetObject? Find(string path) => path.StartsWith(_prefix, StringComparison.Ordinal) ? _find(path[_prefix.Length..]) : null;

    public void Count() => Interlocked.Increment(ref _requests);

    private async Task AcceptAsync()
    {
        var connections = new List<Task>();
        try
        {
            while (true)
            {
                var socket = await _listener.AcceptSocketAsync(_stop.Token);
                connections.Add(new OriginConnection(this, socket).RunAsync(_stop.Token));
            }
        }
        catch (Exception error) when (error is OperationCanceledException or SocketException)
        {
            await Task.WhenAll(connections);
        }
    }
}
