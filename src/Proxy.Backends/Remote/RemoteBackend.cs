using System.Diagnostics.CodeAnalysis;
using Microsoft.Extensions.Logging;
using Proxy.S3.Auth;
using Proxy.S3.Errors;
using Proxy.S3.Objects;

namespace Proxy.Backends.Remote;

/// <summary>One remote backend with everything that is shared by what the proxy asks of it itself and what it forwards.</summary>
/// <remarks>Thread-safe; one per configured backend, for the life of the process.</remarks>
public sealed partial class RemoteBackend : IAsyncDisposable, IDisposable
{
    /// <summary>The operation's name for <see cref="Counters"/>, to be set on each request message.</summary>
    public static readonly HttpRequestOptionsKey<string> OperationKey = new("Proxy.Operation");

    /// <summary>What the client of a request is told that was refused for the date of our signature and cannot be sent again.</summary>
    public const string Misdated = "The backend's clock is not the proxy's; it is followed from now on.";

    private const string Unreachable = "The backend cannot be reached.";

    private readonly RemoteHttp _http;
    private readonly RemoteCredentials _credentials;
    private readonly RemoteObjectStore _store;
    private readonly BackendHealth _health;
    private readonly ReadLimit _limit;
    private readonly ILogger _logger;
    private readonly TimeProvider _time;
    private readonly LogGate _noCredentials;
    private int _uses;
    private volatile bool _disposed;

    /// <param name="counters">Those of the backend of this name that it replaces: counters never go back. Null begins anew.</param>
    public RemoteBackend(string name, RemoteOptions options, TimeProvider time, ILoggerFactory loggers, BackendCounters? counters = null)
    {
        Name = name;
        _time = time;
        _noCredentials = new LogGate(time);
        Options = options;
        Counters = counters ?? new BackendCounters();
        Endpoints = [.. options.Endpoints.Select((url, index) => new RemoteEndpoint(url, options.AddressingStyle, index, options.ManagementPaths))];
        Clock = new BackendClock(time, ahead => LogClock(Name, ahead.TotalMinutes));
        Signer = new RequestSigner(options.Region, Clock);
        _logger = loggers.CreateLogger<RemoteBackend>();
        Keys = new KeyRefusals(name, time, _logger);
        _http = new RemoteHttp(options, Counters, time);
        _credentials = new RemoteCredentials(options);
        _health = new BackendHealth(Endpoints.Count, options.Health, time);
        _limit = new ReadLimit(options.Health with { MaxConcurrency = options.MaxReads }, time, options.RetryDelay, options.ReadTimeout);
        _store = new RemoteObjectStore(this, _credentials, _http, _limit, time);
        Uploads = new RemoteUploads(this, time);
    }

    /// <summary>As configured; a tag of metrics and logs.</summary>
    public string Name { get; }

    public RemoteOptions Options { get; }

    public IReadOnlyList<RemoteEndpoint> Endpoints { get; }

    public BackendCounters Counters { get; }

    /// <summary>What signatures are dated by.</summary>
    internal BackendClock Clock { get; }

    /// <summary>To be asked of every 400, 401 and 403.</summary>
    public KeyRefusals Keys { get; }

    /// <summary>For the backend's own region, by <see cref="Clock"/>.</summary>
    internal RequestSigner Signer { get; }

    /// <summary>Reads for the cache and for the proxy itself.</summary>
    public IObjectSource Source => _store;

    /// <summary>Writes of the proxy's own: copies between backends.</summary>
    public RemoteUploads Uploads { get; }

    /// <summary>The connections that forwards share.</summary>
    public HttpMessageInvoker Invoker => _http.Forwards;

    /// <summary>Whether a request made now would be tried; false while every endpoint is being left alone.</summary>
    public bool IsReachable => _health.IsReachable;

    /// <summary>Endpoints being left alone until one of them answers again.</summary>
    public int OpenBreakers => _health.OpenCount;

    /// <summary>How many reads of our own may run at once; falls when the backend says 503.</summary>
    public int ReadLimit => _limit.Current;

    public int ReadsInFlight => _limit.InUse;

    /// <summary>The request was sent, or could not be, and the backend kept silent for as long as it is waited for: to be reported like a connection that cannot be made.</summary>
    public static bool IsSilence(Exception failure) => failure switch
    {
        BackendSilentException => true,
        AggregateException several => several.InnerExceptions.Any(IsSilence),
        _ => failure.InnerException is { } inner && IsSilence(inner),
    };

    /// <summary>No connection could be made: the request never reached the backend.</summary>
    public static bool IsConnectFailure(Exception failure) => ConnectFailures.IsOne(failure);

    /// <summary>Our own keys there; kept until they change. Where they come from may be down while the backend is well: neither its health nor its limit is told.</summary>
    /// <exception cref="S3Exception">SlowDown 503 when there are none, or none within <see cref="RemoteOptions.ResponseTimeout"/>.</exception>
    public ValueTask<Credential> GetCredentialAsync(CancellationToken cancellation) => GetCredentialAsync(Options.ResponseTimeout, cancellation);

    internal ValueTask<Credential> GetCredentialAsync(TimeSpan within, CancellationToken cancellation)
    {
        var keys = _credentials.GetAsync();
        return keys.IsCompletedSuccessfully ? keys : RenewAsync(keys.AsTask(), within, cancellation);
    }

    /// <summary>The backend's name for a client's bucket.</summary>
    public string MapBucket(string bucket) => Options.BucketMap.GetValueOrDefault(bucket, bucket);

    /// <summary>What a client is told that asks for the store's management.</summary>
    public static S3Exception ManagementRefusal(string resource) => ManagementPaths.Refusal(resource);

    /// <summary>Every bucket of ours there, by the backend's own names.</summary>
    /// <exception cref="S3Exception">SlowDown 503 when it cannot be asked; what it says itself.</exception>
    public ValueTask<IReadOnlyList<BucketInfo>> ListBucketsAsync(CancellationToken cancellation) => _store.ListBucketsAsync(cancellation);

    /// <summary>The endpoint whose turn it is.</summary>
    /// <returns>False when none can be reached: fail at once. After true, report what became of it.</returns>
    public bool TryPickEndpoint([NotNullWhen(true)] out RemoteEndpoint? endpoint)
    {
        endpoint = _health.TryPick(out var index) ? Endpoints[index] : null;
        if (endpoint is null)
        {
            Counters.RefusedUnreachable();
        }

        return endpoint is not null;
    }

    /// <summary>It answered, whatever it said.</summary>
    public void ReportReached(RemoteEndpoint endpoint)
    {
        if (_health.Reached(endpoint.Index))
        {
            LogReachableAgain(Name, endpoint);
        }
    }

    /// <summary>No connection, or no answer in time.</summary>
    /// <param name="cause">For the log.</param>
    public void ReportUnreachable(RemoteEndpoint endpoint, Exception? cause)
    {
        if (_health.Unreachable(endpoint.Index))
        {
            Counters.BreakerOpened();
            LogUnreachable(Name, endpoint, Options.Health.FailuresToOpen, ConnectFailures.Reason(cause), Options.Health.OpenFor.TotalSeconds, cause);
            _ = ProbeAsync(endpoint);
            if (!IsReachable)
            {
                _limit.RefuseAll(Unreachable);
            }
        }
    }

    /// <summary>Addresses a request to this backend and signs it with our keys.</summary>
    /// <param name="bucket">The backend's own name of it; null for the service.</param>
    /// <param name="path">From <see cref="RemoteEndpoint.PathFor"/>.</param>
    /// <param name="query">As it goes out, without the question mark.</param>
    /// <param name="signed">Of its headers, those the signature covers besides the host; they are on the request already.</param>
    public void Sign(
        HttpRequestMessage request, RemoteEndpoint endpoint, string? bucket, string path, string? query, IReadOnlyList<KeyValuePair<string, string>> signed, string payloadHash,
        Credential credential)
    {
        var host = endpoint.HostFor(bucket);
        var target = string.IsNullOrEmpty(query) ? path : $"{path}?{query}";
        var signer = endpoint.Region is { } elsewhere ? new RequestSigner(elsewhere, Clock) : Signer;
        request.Headers.Host = host;
        Carry(request, signer.Sign(request.Method.Method, target, host, signed, payloadHash, credential));
        request.RequestUri = endpoint.UriFor(bucket, path, query);
    }

    /// <summary>Whether the backend refused a request for the date of our signature. The clock is set by then: signed anew it would be taken.</summary>
    /// <param name="response">Can be read afterwards as before.</param>
    public ValueTask<bool> WasMisdatedAsync(HttpResponseMessage response, CancellationToken cancellation) => Clock.WasMisdatedAsync(response, cancellation);

    internal static void Carry(HttpRequestMessage request, in RequestSignature signature)
    {
        var headers = request.Headers;
        headers.TryAddWithoutValidation("Authorization", signature.Authorization);
        headers.TryAddWithoutValidation("x-amz-date", signature.AmzDate);
        headers.TryAddWithoutValidation("x-amz-content-sha256", signature.ContentSha256);
        if (signature.SecurityToken is not null)
        {
            headers.TryAddWithoutValidation("x-amz-security-token", signature.SecurityToken);
        }
    }

    /// <summary>For whoever has something to lose before the request would be sent.</summary>
    /// <exception cref="S3Exception">SlowDown 503 while no endpoint can be reached; counted as refused.</exception>
    public void RequireReachable(string? resource)
    {
        if (!IsReachable)
        {
            Counters.RefusedUnreachable();
            throw SdkErrors.SlowDown(resource, Unreachable, null);
        }
    }

    /// <summary>A turn among the reads the backend gets at once, for reads of our own and forwarded listings; dispose it when the answer has been read.</summary>
    /// <param name="atReadersPace">It is held for as long as a client likes: at most half of the turns are given so.</param>
    /// <exception cref="S3Exception">SlowDown 503: at once while no endpoint can be reached, otherwise when no turn came in time.</exception>
    public async ValueTask<ReadTurn> EnterReadAsync(CancellationToken cancellation, bool atReadersPace = false)
    {
        // Those that have a turn may be waiting for an answer yet: nobody queues behind them.
        RequireReachable(null);
        try
        {
            return await _limit.EnterAsync(cancellation, atReadersPace).ConfigureAwait(false);
        }
        catch (S3Exception)
        {
            if (IsReachable)
            {
                Counters.RefusedAdmission();
            }
            else
            {
                Counters.RefusedUnreachable();
            }

            throw;
        }
    }

    /// <summary>What the answer to a forwarded request says about how much the backend can take.</summary>
    public void ReportStatus(int status)
    {
        if (status is 429 or 503)
        {
            _limit.Throttled();
        }
    }

    /// <summary>Nothing is being forwarded, read or waited for.</summary>
    public bool IsIdle => Volatile.Read(ref _uses) == 0 && _limit.IsIdle;

    /// <summary>Keeps it from being idle until the result is disposed.</summary>
    public Use Begin()
    {
        Interlocked.Increment(ref _uses);
        return new Use(this);
    }

    public void Dispose()
    {
        _disposed = true;
        _store.Dispose();
        _limit.Dispose();
        _http.Dispose();
    }

    public ValueTask DisposeAsync()
    {
        Dispose();
        return ValueTask.CompletedTask;
    }

    /// <summary>One request on its way. Dispose it once.</summary>
    public readonly struct Use(RemoteBackend backend) : IDisposable
    {
        public void Dispose() => Interlocked.Decrement(ref backend._uses);
    }

    private async ValueTask<Credential> RenewAsync(Task<Credential> keys, TimeSpan within, CancellationToken cancellation)
    {
        try
        {
            return await keys.WaitAsync(within, _time, cancellation).ConfigureAwait(false);
        }
        catch (Exception failure) when (failure is not OutOfMemoryException && !(failure is OperationCanceledException && cancellation.IsCancellationRequested))
        {
            if (_noCredentials.TryPass(out var before))
            {
                LogNoCredentials(Name, Options.CredentialSource, ConnectFailures.Reason(failure), before, failure);
            }

            throw SdkErrors.SlowDown(null, "The proxy has no valid credentials for its backend.", failure);
        }
    }

    /// <summary>Asks an endpoint that is being left alone whether it is back, so that no client has to find out.</summary>
    /// <remarks>Unsigned and without side effects: whatever it says, it answers. Ends with the first answer or with the backend. Over the connections of reads, of which there is always a free one.</remarks>
    private async Task ProbeAsync(RemoteEndpoint endpoint)
    {
        _health.Watch(endpoint.Index, true);
        try
        {
            while (!_disposed && !_health.IsUsable(endpoint.Index))
            {
                await Task.Delay(Options.Health.OpenFor, _time).ConfigureAwait(false);
                using var patience = new CancellationTokenSource(Options.ConnectTimeout + Options.ResponseTimeout, _time);
                using var request = new HttpRequestMessage(HttpMethod.Get, endpoint.Url) { Version = System.Net.HttpVersion.Version11 };
                request.Options.Set(OperationKey, "Probe");
                try
                {
                    using var answer = await _http.Reads.SendAsync(request, patience.Token).ConfigureAwait(false);
                    ReportReached(endpoint);
                }
                catch (Exception failure) when (failure is HttpRequestException or OperationCanceledException or IOException or ObjectDisposedException)
                {
                    // Still not there.
                }
            }
        }
        finally
        {
            _health.Watch(endpoint.Index, false);
        }
    }

    [LoggerMessage(2001, LogLevel.Warning, "Backend {Backend}: {Endpoint} could not be reached {Failures} times in a row, last because {Reason}; it is tried again every {Seconds} s and requests fail at once meanwhile")]
    private partial void LogUnreachable(string backend, RemoteEndpoint endpoint, int failures, string reason, double seconds, Exception? cause);

    [LoggerMessage(2004, LogLevel.Error, "Backend {Backend}: CredentialSource {Source} gives no valid credentials ({Reason}), and requests that need the backend are told SlowDown: check the service behind it. {Before} more of these since the last such line")]
    private partial void LogNoCredentials(string backend, CredentialSource source, string reason, int before, Exception cause);

    [LoggerMessage(2003, LogLevel.Warning, "Backend {Backend} refused a signature for its date: its clock is {Minutes:0} minutes ahead of ours. Signatures follow it from now on; set the clock that is wrong")]
    private partial void LogClock(string backend, double minutes);

    [LoggerMessage(2002, LogLevel.Information, "Backend {Backend}: {Endpoint} answers again")]
    private partial void LogReachableAgain(string backend, RemoteEndpoint endpoint);
}
