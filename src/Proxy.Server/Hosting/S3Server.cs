using System.Net;
using System.Net.Sockets;
using System.Text;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;
using Microsoft.Extensions.Options;
using Proxy.Server.HotReads;
using Proxy.Server.Requests;
using Proxy.Server.Transport;

namespace Proxy.Server.Hosting;

/// <summary>The S3 listener: a Kestrel of its own, straight into <see cref="S3Application"/>, with no middleware between.</summary>
/// <remarks>
/// Apart from the admin listener so that neither's load, limits or pipeline touch the other's. Hosting's own per-request work (diagnostic
/// source, activity, log scope, routing) never runs here.
/// </remarks>
internal sealed class S3Server(S3Options options, S3Application application, HotReadEndpoint hotReads, IServiceProvider services, ILoggerFactory loggers) : IAsyncDisposable
{
    /// <summary>Request line and headers: S3 allows 8 KiB of headers; presigned targets and copy sources add up to more.</summary>
    private const int MaxRequestLineBytes = 16 << 10;

    /// <summary>Above MinIO's and AWS's own limits, so that it is we who answer with the right S3 error and not the parser.</summary>
    private const int MaxHeaderBytes = 64 << 10;

    /// <summary>Connections that have come and are not taken yet.</summary>
    private const int Backlog = 4096;

    /// <summary>
    /// What a connection may have waiting for us. Kestrel's limit holds for TLS only; for plain connections it is the transport's, 1 MiB where nobody says
    /// otherwise. 500 uploads that stalled took 510 MiB with that, 379 with 256 KiB, 319 with this; PUTs are as fast (1 and 8 streams, three rounds).
    /// </summary>
    private const int MaxWaitingBytes = 128 << 10;

    /// <summary>
    /// Kestrel's keep-alive runs on while a hot read is answered, and the connection would end right behind an answer that took longer, with the next request on its way.
    /// So on our own transport, which ends what is idle itself, Kestrel waits for so much more. It is all there is for a connection whose requests are not counted any
    /// more: behind a chunked upload.
    /// </summary>
    private static readonly TimeSpan LongestHotRead = TimeSpan.FromHours(1);

    private readonly SocketTransport? _transport = options.DirectOutput && !options.Tls.Enabled && SocketTransport.IsSupported ? new SocketTransport(Backlog, options.StallTimeout, options.KeepAlive, options.ZeroCopy, loggers) : null;
    private KestrelServer? _server;

    /// <inheritdoc cref="SocketTransport.LentBytes"/>
    public long LentBytes => _transport?.LentBytes ?? 0;

    /// <exception cref="ConfigurationException">A certificate cannot be used.</exception>
    /// <exception cref="IOException">An address cannot be listened on, which may pass: it is somebody else's, or not there yet.</exception>
    public async Task StartAsync(CancellationToken cancellation)
    {
        try
        {
            _server = Create();
            await _server.StartAsync(application, cancellation);
        }
        catch (Exception e) when (e is IOException or SocketException)
        {
            throw new IOException($"S3:Listen: cannot listen on {options.Listen}: {e.InnerException?.Message ?? e.Message}. Free the port or set --listen.", e);
        }
    }

    public Task StopAsync(CancellationToken cancellation) => _server?.StopAsync(cancellation) ?? Task.CompletedTask;

    public ValueTask DisposeAsync()
    {
        _server?.Dispose();
        _transport?.Dispose();
        return ValueTask.CompletedTask;
    }

    private KestrelServer Create()
    {
        var kestrel = new KestrelServerOptions { ApplicationServices = services, AddServerHeader = false, AllowResponseHeaderCompression = false };
        // Kestrel's default refuses metadata beyond ASCII in an answer though it takes it, as UTF-8, in a request.
        kestrel.ResponseHeaderEncodingSelector = static _ => Encoding.UTF8;
        var limits = kestrel.Limits;
        limits.MaxRequestBodySize = null;           // S3's own limits apply: 5 GiB a PUT
        limits.MinRequestBodyDataRate = null;       // StallTimeout replaces it: a slow client is not a dead one
        limits.MinResponseDataRate = null;
        limits.MaxRequestLineSize = MaxRequestLineBytes;
        limits.MaxRequestHeadersTotalSize = MaxHeaderBytes;
        limits.MaxRequestHeaderCount = 200;
        limits.KeepAliveTimeout = _transport is null ? options.KeepAlive : options.KeepAlive + LongestHotRead;
        limits.RequestHeadersTimeout = options.StallTimeout;
        limits.MaxConcurrentConnections = options.MaxConnections;
        limits.MaxRequestBufferSize = MaxWaitingBytes;
        foreach (var endpoint in Endpoints("S3:Listen", options.Listen))
        {
            kestrel.Listen(endpoint, listen =>
            {
                listen.Protocols = HttpProtocols.Http1;
                listen.UseTls(options.Tls, "S3:Tls");
                if (_transport is not null)
                {
                    listen.UseHotReads(hotReads);
                }
            });
        }

        return new KestrelServer(Options.Create(kestrel), _transport ?? (IConnectionListenerFactory)StockTransport(), loggers);
    }

    /// <summary>Kestrel's own: for TLS, and where ours does not run.</summary>
    private SocketTransportFactory StockTransport() => new(Options.Create(new SocketTransportOptions { Backlog = Backlog, NoDelay = true, MaxReadBufferSize = MaxWaitingBytes }), loggers);

    /// <summary>Reads <c>host:port</c>, several separated by commas; <c>*</c> and 0.0.0.0 are every IPv4 interface, localhost is 127.0.0.1.</summary>
    /// <exception cref="ConfigurationException">Not an address.</exception>
    internal static IReadOnlyList<IPEndPoint> Endpoints(string key, string listen)
    {
        var endpoints = new List<IPEndPoint>();
        foreach (var text in listen.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries))
        {
            var address = text.Replace("localhost:", "127.0.0.1:", StringComparison.OrdinalIgnoreCase).Replace("*:", "0.0.0.0:", StringComparison.Ordinal);
            if (address.StartsWith(':'))
            {
                address = "0.0.0.0" + address;
            }

            if (!address.Contains(':', StringComparison.Ordinal) || !IPEndPoint.TryParse(address, out var endpoint))
            {
                throw new ConfigurationException($"{key}: '{text}' is not an address; write it as 127.0.0.1:9000, 0.0.0.0:9000 or [::]:9000.");
            }

            endpoints.Add(endpoint);
        }

        return endpoints.Count > 0 ? endpoints : throw new ConfigurationException($"{key} is empty: set at least one address such as 127.0.0.1:9000.");
    }
}
