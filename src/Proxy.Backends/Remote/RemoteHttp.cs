using System.Net;
using System.Text;

namespace Proxy.Backends.Remote;

/// <summary>The connections towards a backend: a pool for what the proxy reads itself, and one under YARP, for what is forwarded.</summary>
/// <remarks>
/// Two, because a forward lasts as long as its client lets it: a few hundred uploads that stall would hold every connection, and no miss could be filled.
/// Plain pass-through: HTTP/1.1, no redirects, cookies, decompression, system proxy or trace headers. Thread-safe.
/// It never repeats a request that has a body: SocketsHttpHandler tries again only when a pooled connection turns out to be closed
/// before any byte of an answer, and then only a request without content.
/// </remarks>
internal sealed class RemoteHttp : IDisposable
{
    private readonly CountingHandler _reads;
    private readonly CountingHandler _forwards;

    public RemoteHttp(RemoteOptions options, BackendCounters counters, TimeProvider time)
    {
        var tls = new RemoteTls(options.Tls);
        _reads = new CountingHandler(Sockets(options, tls), counters, time);
        _forwards = new CountingHandler(new SilenceHandler(Sockets(options, tls), options, counters, time), counters, time);
        Reads = new HttpMessageInvoker(_reads, disposeHandler: false);
        Forwards = new HttpMessageInvoker(_forwards, disposeHandler: false);
    }

    /// <summary>For objects that the proxy reads itself: its answers are read to their end or dropped, whatever a client does.</summary>
    public HttpMessageInvoker Reads { get; }

    /// <summary>For what lasts as long as somebody else lets it. YARP refuses HttpClient because that buffers.</summary>
    public HttpMessageInvoker Forwards { get; }

    /// <summary>For the SDK, over the connections of <see cref="Reads"/>. Timeouts are ours, by progress.</summary>
    public HttpClient NewClient(RemoteBackend backend) => new(new SdkHandler(_reads, backend), disposeHandler: false) { Timeout = Timeout.InfiniteTimeSpan };

    public void Dispose()
    {
        Reads.Dispose();
        Forwards.Dispose();
        _reads.Dispose();
        _forwards.Dispose();
    }

    private static SocketsHttpHandler Sockets(RemoteOptions options, RemoteTls tls) => new()
    {
        MaxConnectionsPerServer = options.MaxConnections,
        ConnectTimeout = options.ConnectTimeout,
        ConnectCallback = static (context, cancellation) => AddressConnector.BySystem.ConnectAsync(context.DnsEndPoint, cancellation),
        SslOptions = tls.NewOptions(),
        PooledConnectionLifetime = options.ConnectionLifetime,
        PooledConnectionIdleTimeout = options.IdleTimeout,
        Expect100ContinueTimeout = TimeSpan.FromSeconds(1),
        AllowAutoRedirect = false,
        UseCookies = false,
        UseProxy = false,
        AutomaticDecompression = DecompressionMethods.None,
        ActivityHeadersPropagator = null,
        EnableMultipleHttp2Connections = false,
        MaxResponseHeadersLength = 64,
        // As Kestrel's side of the proxy and the local store: metadata beyond ASCII is UTF-8, on the wire and under signatures.
        RequestHeaderEncodingSelector = static (_, request) =>
        {
            // Asked as the head is written: here a request has its connection, of which nothing else tells.
            if (request.Options.TryGetValue(AnswerClock.Key, out var clock))
            {
                clock.HeadWritten();
            }

            return Encoding.UTF8;
        },
        ResponseHeaderEncodingSelector = static (_, _) => Encoding.UTF8,
        // A short body that is thrown away leaves its connection usable; a long one is cheaper to drop.
        MaxResponseDrainSize = 64 << 10,
        ResponseDrainTimeout = TimeSpan.FromMilliseconds(200),
    };
}
