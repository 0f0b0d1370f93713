using System.Xml;
using Proxy.S3.Auth;
using Proxy.S3.Errors;
using Proxy.S3.Objects;
using Proxy.S3.Streaming;
using Proxy.S3.Xml;

namespace Proxy.Backends.Remote;

/// <summary>Requests of the proxy's own that are no cached reads: what a copy between backends writes. Each is sent exactly once.</summary>
/// <remarks>Beside <see cref="RemoteObjectStore"/>; over the same connections. Thread-safe.</remarks>
public sealed class RemoteUploads
{
    private const int MaxAnswerBytes = 1 << 20;

    private readonly RemoteBackend _backend;
    private readonly TimeProvider _time;

    internal RemoteUploads(RemoteBackend backend, TimeProvider time) => (_backend, _time) = (backend, time);

    /// <param name="id">Bucket before the backend's bucket map.</param>
    /// <param name="query">As it stands in the request line; null for none.</param>
    /// <param name="headers">Of the object, in lower case.</param>
    /// <param name="body">Streamed; not disposed. Null for none.</param>
    /// <exception cref="S3Exception">What the backend said, or SlowDown 503 when it could not be asked.</exception>
    /// <exception cref="IOException">The body itself could not be read to its end; the backend was given less than was announced and stores nothing.</exception>
    public async ValueTask<RemoteAnswer> SendAsync(
        string operation, string method, ObjectId id, string? query, IReadOnlyList<KeyValuePair<string, string>> headers, Stream? body, long length, CancellationToken cancellation)
    {
        var bucket = _backend.MapBucket(id.Bucket);
        var resource = $"/{id.Bucket}/{id.Key}";
        if (!_backend.TryPickEndpoint(out var endpoint))
        {
            throw SdkErrors.SlowDown(resource, "The backend cannot be reached.", null);
        }

        using var use = _backend.Begin();
        using var patience = new CancellationTokenSource(Timeout.InfiniteTimeSpan, _time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(patience.Token, cancellation);
        patience.CancelAfter(_backend.Options.ForwardTimeout);
        using var request = new HttpRequestMessage(new HttpMethod(method), endpoint.Url) { Version = System.Net.HttpVersion.Version11 };
        var progress = body is null ? null : new ProgressStream(body, () => patience.CancelAfter(_backend.Options.ForwardTimeout));
        if (progress is not null)
        {
            request.Content = new StreamContent(progress);
            request.Content.Headers.ContentLength = length;
            request.Headers.ExpectContinue = _backend.Options.AsksFirst(length, headers.Any(static header => header.Key is "if-match" or "if-none-match")) ? true : null;
        }

        var credential = await _backend.GetCredentialAsync(cancellation).ConfigureAwait(false);
        Sign(request, endpoint, bucket, id.Key, query, headers, credential);
        request.Options.Set(RemoteBackend.OperationKey, operation);
        var status = 0;
        try
        {
            using var response = await _backend.Invoker.SendAsync(request, either.Token).ConfigureAwait(false);
            status = (int)response.StatusCode;
            _backend.ReportReached(endpoint);
            if (await _backend.Clock.WasMisdatedAsync(response, either.Token).ConfigureAwait(false))
            {
                throw SdkErrors.SlowDown(resource, RemoteBackend.Misdated, null); // the body is spent, and the next one is right
            }

            var document = await AnswerDocument.ReadAsync(response, MaxAnswerBytes, either.Token).ConfigureAwait(false) ?? throw new XmlException("The answer is too long.");
            var isError = ErrorXml.TryRead(document, out var error);
            if (status >= 300 || isError)
            {
                throw _backend.Keys.Judge(response.StatusCode, error?.Code, resource)
                    ?? SdkErrors.FromStatus(response.StatusCode, error?.Code, resource, isObject: true, etag: null, cause: null);
            }

            return new RemoteAnswer(status, ObjectFacts.ETag(response), document);
        }
        catch (Exception failure) when (failure is not S3Exception && !cancellation.IsCancellationRequested)
        {
            if (progress?.Failure is { } broken)
            {
                throw broken as S3Exception ?? SdkErrors.SlowDown(resource, "The source of the copy broke off.", broken);
            }

            if (status == 0 && (ConnectFailures.IsOne(failure) || RemoteBackend.IsSilence(failure)))
            {
                _backend.ReportUnreachable(endpoint, failure);
            }

            throw SdkErrors.Translate(failure, id, id.Bucket, status);
        }
    }

    private void Sign(
        HttpRequestMessage request, RemoteEndpoint endpoint, string bucket, string key, string? query, IReadOnlyList<KeyValuePair<string, string>> headers, Credential credential)
    {
        var signed = new List<KeyValuePair<string, string>>();
        foreach (var (name, value) in headers)
        {
            if (!request.Headers.TryAddWithoutValidation(name, value))
            {
                request.Content?.Headers.TryAddWithoutValidation(name, value);
            }

            if (name.StartsWith("x-amz-", StringComparison.OrdinalIgnoreCase) || name.Equals("content-type", StringComparison.OrdinalIgnoreCase))
            {
                signed.Add(new(name, value));
            }
        }

        var path = endpoint.PathOf(bucket, key);
        var hash = request.Content is null ? PayloadHash.Empty : PayloadHash.Unsigned;
        _backend.Sign(request, endpoint, bucket, path, query, signed, hash, credential);
    }

    /// <summary>Tells of every read that gave something, and remembers why one failed.</summary>
    private sealed class ProgressStream(Stream inner, Action progressed) : ForwardOnlyStream
    {
        public Exception? Failure { get; private set; }

        public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            try
            {
                var read = await inner.ReadAsync(buffer, cancellationToken).ConfigureAwait(false);
                progressed();
                return read;
            }
            catch (Exception failure) when (failure is not OperationCanceledException)
            {
                Failure = failure;
                throw;
            }
        }
    }
}

/// <param name="ETag">With quotes; null when the backend named none.</param>
public sealed record RemoteAnswer(int Status, string? ETag, ReadOnlyMemory<byte> Body);
