using System.Net;
using System.Net.Sockets;
using System.Text.Json;
using Proxy.Bench.Peers;

namespace Proxy.Bench.Shape;

/// <summary>A <see cref="ShapedBackend"/> in a process of its own: what it costs is the backend's and not the client's.</summary>
/// <param name="bucket">Whose reads it signs, for a peer that cannot; null leaves requests as they are.</param>
/// <remarks>Thread-safe; orders are given one at a time.</remarks>
internal sealed class RelayServer(IPEndPoint listen, IPEndPoint server, BackendProfile profile, string? bucket = null) : BenchServer("relay", listen)
{
    private static readonly TimeSpan CallsWithin = TimeSpan.FromSeconds(30);

    private readonly SemaphoreSlim _orders = new(1);
    private ChildProcess? _process;
    private Socket? _socket;
    private StreamReader? _reader;
    private NetworkStream? _stream;

    public override string Description => profile.ToString();

    protected override ChildProcess? Process => _process;

    /// <summary>As it was started with, whatever orders came since.</summary>
    public BackendProfile Profile => profile;

    public override async Task StartAsync(CancellationToken cancellation)
    {
        var name = $"proxy-bench-{Guid.NewGuid():n}";
        using var listener = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        listener.Bind(RelayControl.Address(name));
        listener.Listen(1);
        List<string> arguments = [typeof(RelayServer).Assembly.Location, "relay", "--listen", Listen.ToString(), "--server", server.ToString(), "--control", name];
        if (bucket is not null)
        {
            arguments.AddRange(["--signs", "--bucket", bucket]);
        }

        _process = ChildProcess.Start("dotnet", arguments, AppContext.BaseDirectory);
        using var timeout = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        timeout.CancelAfter(CallsWithin);
        var accepting = listener.AcceptAsync(timeout.Token).AsTask();
        while (!accepting.IsCompleted)
        {
            await Task.WhenAny(accepting, Task.Delay(50, timeout.Token));
            Workloads.RunFailedException.Unless(!_process.HasExited || accepting.IsCompleted, $"the relay on {Listen} ended before it called:\n{_process.Output}");
        }

        _socket = await accepting;
        _stream = new NetworkStream(_socket);
        _reader = new StreamReader(_stream);
        await OrderAsync(new RelayOrder(profile), cancellation);
    }

    public Task<RelayState> ReadAsync(CancellationToken cancellation) => OrderAsync(new RelayOrder(), cancellation);

    public async Task<RelayState> OrderAsync(RelayOrder order, CancellationToken cancellation)
    {
        await _orders.WaitAsync(cancellation);
        try
        {
            // Not cancelled half-way: the next answer would be taken for this one's.
            await JsonSerializer.SerializeAsync(_stream!, order, cancellationToken: CancellationToken.None);
            await _stream!.WriteAsync("\n"u8.ToArray(), CancellationToken.None);
            var line = await _reader!.ReadLineAsync(CancellationToken.None) ?? throw new IOException($"the relay on {Listen} is gone:\n{_process!.Output}");
            return JsonSerializer.Deserialize<RelayState>(line)!;
        }
        finally
        {
            _orders.Release();
        }
    }

    public override async ValueTask DisposeAsync()
    {
        _socket?.Dispose();    // the relay ends by it
        if (_process is not null)
        {
            await _process.DisposeAsync();
        }

        _orders.Dispose();
    }
}
