using System.Collections.Concurrent;
using System.Globalization;
using System.Net;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.Logging;
using Proxy.S3.Auth;
using Proxy.S3.Requests;

namespace Proxy.FunctionalTests.Faults;

/// <summary>A small S3 server on loopback, correct unless told otherwise: for tests of what the proxy does when its backend does not behave.</summary>
/// <remarks>Path style; asks for no signature. Thread-safe: faults may be set while it serves.</remarks>
internal sealed class FaultyBackend : IAsyncDisposable
{
    private readonly WebApplication _app;
    private readonly FaultyOperations _operations;
    private readonly ConcurrentDictionary<string, ConcurrentQueue<(Fault Fault, bool Always)>> _faults = new(StringComparer.Ordinal);
    private readonly Lock _rateLock = new();
    private long _second;
    private int _inSecond;
    private int _throttled;
    private int _struck;

    private FaultyBackend(WebApplication app, FaultyStore store)
    {
        _app = app;
        Store = store;
        _operations = new FaultyOperations(Store);
    }

    public FaultyStore Store { get; }

    /// <summary>Every request that arrived, in order.</summary>
    public ConcurrentQueue<FaultyRequest> Requests { get; } = new();

    /// <summary>Over it: 503 SlowDown. Null is no limit.</summary>
    public int? RequestsPerSecond { get; set; }

    /// <summary>Requests refused by <see cref="RequestsPerSecond"/>.</summary>
    public int Throttled => Volatile.Read(ref _throttled);

    /// <summary>Requests that went wrong as <see cref="Break"/> said.</summary>
    public int Struck => Volatile.Read(ref _struck);

    /// <summary>Thumbprints of the certificates that clients have shown.</summary>
    public ConcurrentQueue<string> ClientCertificates { get; private init; } = new();

    /// <summary>Thumbprints of the certificates that came with those.</summary>
    public ConcurrentQueue<string> ClientIssuers { get; private init; } = new();

    /// <summary>Connections made from now on are shown this certificate.</summary>
    public Action<X509Certificate2> ShowInstead { get; private init; } = static _ => { };

    /// <summary>Asked with each request once its body has come, before it is answered: what a store does that does more than this one.</summary>
    public Func<FaultyRequest, Task>? Arrived { get; set; }

    public int Port { get; private set; }

    public string Url { get; private set; } = "";

    /// <param name="port">0 takes a free one.</param>
    public static Task<FaultyBackend> StartAsync(int port = 0, params string[] buckets) => StartAsync(null, port, buckets);

    /// <summary>Another server over the same objects: the one before it is gone.</summary>
    public static Task<FaultyBackend> StartAgainAsync(FaultyBackend before) => StartAsync(null, before.Port, before.Store);

    /// <summary>One more way to the same objects, at another address of this machine.</summary>
    public static Task<FaultyBackend> StartBesideAsync(FaultyBackend first, IPAddress address) => StartAsync(null, first.Port, first.Store, address: address);

    /// <param name="certificate">Null speaks plain HTTP.</param>
    public static Task<FaultyBackend> StartAsync(X509Certificate2? certificate, int port, params string[] buckets) => StartAsync(certificate, port, new FaultyStore(), buckets);

    private static async Task<FaultyBackend> StartAsync(X509Certificate2? certificate, int port, FaultyStore store, string[]? buckets = null, IPAddress? address = null)
    {
        var shown = certificate;
        var clients = new ConcurrentQueue<string>();
        var issuers = new ConcurrentQueue<string>();
        var builder = WebApplication.CreateSlimBuilder();
        builder.WebHost.UseKestrelHttpsConfiguration();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(kestrel =>
        {
            kestrel.Listen(address ?? IPAddress.Loopback, port, listen =>
            {
                if (certificate is not null)
                {
                    listen.UseHttps(https =>
                    {
                        https.ServerCertificateSelector = (_, _) => shown;
                        https.ClientCertificateMode = Microsoft.AspNetCore.Server.Kestrel.Https.ClientCertificateMode.AllowCertificate;
                        https.ClientCertificateValidation = (own, chain, _) =>
                        {
                            clients.Enqueue(own.Thumbprint);
                            foreach (var issuer in chain!.ChainPolicy.ExtraStore)
                            {
                                issuers.Enqueue(issuer.Thumbprint);
                            }

                            return true;
                        };
                    });
                }
            });
            kestrel.AddServerHeader = false;
            kestrel.ResponseHeaderEncodingSelector = static _ => Encoding.UTF8;
            kestrel.Limits.MaxRequestBodySize = null;
            kestrel.Limits.MinRequestBodyDataRate = null;
            kestrel.Limits.MinResponseDataRate = null;
        });
        var backend = new FaultyBackend(builder.Build(), store) { ClientCertificates = clients, ClientIssuers = issuers, ShowInstead = next => shown = next };
        backend._app.Run(backend.ServeAsync);
        await backend._app.StartAsync();
        backend.Url = backend._app.Urls.First();
        backend.Port = new Uri(backend.Url).Port;
        foreach (var bucket in buckets ?? [])
        {
            backend.Store.CreateBucket(bucket);
        }

        return backend;
    }

    /// <summary>The next <paramref name="times"/> requests of this operation (or of any, <c>*</c>) go wrong like this; all of them until
    /// <see cref="Heal"/> when null.</summary>
    /// <exception cref="ArgumentException">The operation passes over it.</exception>
    public void Break(string operation, Fault fault, int? times = null)
    {
        if (fault.StopsWithinBody && !FaultyOperations.MayStopWithinBody(operation))
        {
            throw new ArgumentException($"{operation} would be answered whole.", nameof(fault));
        }

        var queue = _faults.GetOrAdd(operation, static _ => new());
        for (var i = 0; i < (times ?? 1); i++)
        {
            queue.Enqueue((fault, times is null));
        }
    }

    public void Heal() => _faults.Clear();

    public int Count(string operation) => Requests.Count(request => request.Operation == operation);

    public async ValueTask DisposeAsync()
    {
        using var now = new CancellationTokenSource(TimeSpan.Zero);
        await _app.StopAsync(now.Token);
        await _app.DisposeAsync();
    }

    private async Task ServeAsync(HttpContext context)
    {
        var rawTarget = context.Features.Get<IHttpRequestFeature>()!.RawTarget;
        var target = S3Target.Parse(rawTarget, null, Addressing.PathStyle);
        var request = new FaultyRequest(FaultyOperations.NameOf(context.Request, target), context.Request.Method, rawTarget, [.. context.Request.Headers.Select(h => KeyValuePair.Create(h.Key, h.Value.ToString()))]);
        Requests.Enqueue(request);
        var fault = Take(request.Operation) ?? Take("*");
        if (fault is not null)
        {
            Interlocked.Increment(ref _struck);
        }

        fault ??= new Fault();
        if (fault.Latency > TimeSpan.Zero)
        {
            await Task.Delay(fault.Latency, context.RequestAborted);
        }

        if (OverRate())
        {
            Interlocked.Increment(ref _throttled);
            fault = fault with { Status = 503 };
        }

        if (fault.ReasonPhrase is { } phrase)
        {
            context.Features.GetRequiredFeature<IHttpResponseFeature>().ReasonPhrase = phrase;
        }

        if (fault.ResetBeforeDoing)
        {
            context.Abort();
            return;
        }

        if (fault.BeforeBody)
        {
            context.Response.Headers.Connection = "close";
            await FaultyOperations.ErrorAsync(context, fault.Status!.Value, fault.Code);
            return;
        }

        byte[] body;
        try
        {
            using var whole = new MemoryStream();
            if (fault.BodyBegins is { } begins)
            {
                var first = new byte[1];
                whole.Write(first, 0, await context.Request.Body.ReadAsync(first, context.RequestAborted));
                begins.TrySetResult();
            }

            await context.Request.Body.CopyToAsync(whole, context.RequestAborted);
            body = whole.ToArray();
        }
        catch (Exception cut) when (cut is IOException or OperationCanceledException or BadHttpRequestException)
        {
            request.BodyCut = true;
            return;
        }

        request.Body = body;
        if (Arrived is { } arrived)
        {
            await arrived(request);
        }

        if (fault.WorksUntil is { } done)
        {
            // As S3 does: the declaration, and then spaces.
            context.Response.ContentType = "application/xml";
            await context.Response.WriteAsync(FaultyOperations.Declaration);
            do
            {
                await context.Response.WriteAsync(" ", context.RequestAborted);
                await context.Response.Body.FlushAsync(context.RequestAborted);
                await Task.WhenAny(done, Task.Delay(200, context.RequestAborted));
            }
            while (!done.IsCompleted && !context.RequestAborted.IsCancellationRequested);
        }

        if (fault.Document is { } document)
        {
            if (!context.Response.HasStarted)
            {
                context.Response.StatusCode = fault.Status ?? StatusCodes.Status200OK;
                context.Response.ContentType = "application/xml";
            }

            await context.Response.WriteAsync(document);
            return;
        }

        if (fault.Status is { } status)
        {
            if (fault.HeadFirst > TimeSpan.Zero)
            {
                context.Response.StatusCode = status;
                await context.Response.StartAsync();
                await Task.Delay(fault.HeadFirst, context.RequestAborted);
                await context.Response.WriteAsync($"<Error><Code>{fault.Code}</Code><Message>Late.</Message></Error>");
                return;
            }

            await FaultyOperations.ErrorAsync(context, status, fault.Code);
            return;
        }

        if (fault.ErrorUnder200)
        {
            await context.Response.WriteAsync("   \n <?xml version=\"1.0\"?><Error><Code>InternalError</Code><Message>Late.</Message></Error>");
            return;
        }

        if (fault.ResetAfterDoing)
        {
            var client = context.Response.Body;
            context.Response.Body = Stream.Null;
            await _operations.DoAsync(context, request.Operation, target, body, new Fault());
            context.Response.Body = client;
            context.Abort();
            return;
        }

        await _operations.DoAsync(context, request.Operation, target, body, fault);
    }

    private Fault? Take(string operation)
    {
        if (!_faults.TryGetValue(operation, out var queue) || !queue.TryPeek(out var first))
        {
            return null;
        }

        return first.Always ? first.Fault : queue.TryDequeue(out var taken) ? taken.Fault : null;
    }

    private bool OverRate()
    {
        if (RequestsPerSecond is not { } limit)
        {
            return false;
        }

        lock (_rateLock)
        {
            var now = Environment.TickCount64 / 1000;
            if (now != _second)
            {
                _second = now;
                _inSecond = 0;
            }

            return ++_inSecond > limit;
        }
    }
}

/// <summary>One request as it arrived.</summary>
internal sealed record FaultyRequest(string Operation, string Method, string RawTarget, IReadOnlyList<KeyValuePair<string, string>> Headers)
{
    public byte[]? Body { get; set; }

    /// <summary>The connection ended before the body did.</summary>
    public bool BodyCut { get; set; }

    public string? Header(string name) => Headers.FirstOrDefault(header => header.Key.Equals(name, StringComparison.OrdinalIgnoreCase)).Value;

    /// <summary>Fails unless the request was signed, as it arrived, with this credential.</summary>
    /// <param name="at">As in x-amz-date; null is now, give or take a quarter of an hour.</param>
    public void AssertSigned(string accessKey, string secretKey, string region, string? sessionToken = null, string? at = null)
    {
        var headers = new HeaderTable();
        foreach (var (name, value) in Headers)
        {
            headers[name] = value;
        }

        var verifier = new SignatureVerifier(new CredentialTable([new Credential(accessKey, secretKey, sessionToken)]), new SignatureOptions { Region = region }, at is null ? TimeProvider.System : new ClockAt(at));
        verifier.Verify(Method, S3Target.Parse(RawTarget, headers["Host"], Addressing.PathStyle), headers);
    }

    private sealed class ClockAt(string amzDate) : TimeProvider
    {
        public override DateTimeOffset GetUtcNow() => DateTimeOffset.ParseExact(amzDate, "yyyyMMdd'T'HHmmss'Z'", CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal);
    }
}
