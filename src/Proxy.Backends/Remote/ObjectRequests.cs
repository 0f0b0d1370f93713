using System.Globalization;
using Proxy.S3.Auth;
using Proxy.S3.Errors;
using Proxy.S3.Objects;
using Proxy.S3.Xml;

namespace Proxy.Backends.Remote;

/// <summary>GET and HEAD of an object as they go over the wire: made, signed and sent once, a refusal read.</summary>
/// <remarks>Between <see cref="RemoteCalls"/>, which says when and where to, and the pool of connections. Thread-safe.</remarks>
internal sealed class ObjectRequests(RemoteBackend backend, HttpMessageInvoker connections)
{
    /// <summary>The operation's name for <see cref="BackendCounters"/>.</summary>
    public const string Get = "GetObject";

    private const int TemporaryRedirect = 307;

    /// <summary>So that a backend's access log tells our reads from those that are forwarded, which keep their client's.</summary>
    private const string UserAgent = "s3-tier-proxy";

    /// <param name="at">Told the status as soon as there is one.</param>
    /// <returns>A good answer, its body not yet read. The caller disposes it.</returns>
    /// <exception cref="S3Exception">What the backend said; AccessDenied 403 where the store would take it for management.</exception>
    public async Task<HttpResponseMessage> SendAsync(HttpMethod method, ObjectId id, string bucket, ObjectReadOptions options, ReadTry at, CancellationToken cancellation)
    {
        if (at.Endpoint.MeansManagement(bucket, id.Key))
        {
            throw ManagementPaths.Refusal($"/{bucket}/{id.Key}");
        }

        var endpoint = at.Endpoint;
        var response = await SendOnceAsync(method, id.Key, bucket, options, endpoint, at.Credential, cancellation).ConfigureAwait(false);
        if ((int)response.StatusCode == TemporaryRedirect && endpoint.TryFollow(response.Headers.Location, bucket, out var moved))
        {
            response.Dispose();
            endpoint = moved;
            response = await SendOnceAsync(method, id.Key, bucket, options, endpoint, at.Credential, cancellation).ConfigureAwait(false);
        }

        at.Status = (int)response.StatusCode;
        if (await backend.Clock.WasMisdatedAsync(response, cancellation).ConfigureAwait(false))
        {
            response.Dispose();
            response = await SendOnceAsync(method, id.Key, bucket, options, endpoint, at.Credential, cancellation).ConfigureAwait(false);
            at.Status = (int)response.StatusCode;
        }

        if (response.IsSuccessStatusCode)
        {
            return response;
        }

        using (response)
        {
            throw await RefusalAsync(response, $"/{bucket}/{id.Key}", cancellation).ConfigureAwait(false);
        }
    }

    private async Task<HttpResponseMessage> SendOnceAsync(
        HttpMethod method, string key, string bucket, ObjectReadOptions options, RemoteEndpoint endpoint, Credential credential, CancellationToken cancellation)
    {
        using var request = new HttpRequestMessage { Method = method };
        request.Options.Set(RemoteBackend.OperationKey, method == HttpMethod.Get ? Get : "HeadObject");
        var headers = request.Headers;
        Add("User-Agent", UserAgent);
        Add("Range", options.Range?.ToString());
        if (options.Preconditions is { } conditions)
        {
            Add("If-Match", conditions.IfMatch);
            Add("If-None-Match", conditions.IfNoneMatch);
            Add("If-Modified-Since", HttpDate(conditions.IfModifiedSince));
            Add("If-Unmodified-Since", HttpDate(conditions.IfUnmodifiedSince));
        }

        KeyValuePair<string, string>[] signed = options.WithChecksums ? [new("x-amz-checksum-mode", "ENABLED")] : [];
        foreach (var (name, value) in signed)
        {
            Add(name, value);
        }

        var query = options.PartNumber is { } part ? string.Create(CultureInfo.InvariantCulture, $"partNumber={part}") : null;
        backend.Sign(request, endpoint, bucket, endpoint.PathOf(bucket, key), query, signed, PayloadHash.Empty, credential);
        return await connections.SendAsync(request, cancellation).ConfigureAwait(false);

        void Add(string name, string? value)
        {
            if (value is not null)
            {
                headers.TryAddWithoutValidation(name, value);
            }
        }
    }

    private async ValueTask<S3Exception> RefusalAsync(HttpResponseMessage response, string resource, CancellationToken cancellation)
    {
        // Nothing to read behind a HEAD.
        var document = await AnswerDocument.ReadAsync(response, ErrorXml.MaxBytes, cancellation).ConfigureAwait(false);
        var code = document is not null && ErrorXml.TryRead(document, out var error) ? error.Code : null;
        return backend.Keys.Judge(response.StatusCode, code ?? ObjectFacts.Header(response, "x-minio-error-code"), resource)
            ?? SdkErrors.FromStatus(response.StatusCode, code, resource, isObject: true, ObjectFacts.ETag(response), cause: null);
    }

    private static string? HttpDate(DateTimeOffset? time) => time?.UtcDateTime.ToString("r", CultureInfo.InvariantCulture);
}

/// <summary>One try of a read: where to, as whom, and what came of it.</summary>
internal sealed class ReadTry(RemoteEndpoint endpoint, Credential credential)
{
    public RemoteEndpoint Endpoint { get; } = endpoint;

    public Credential Credential { get; } = credential;

    /// <summary>Of the answer; 0 until one came.</summary>
    public int Status { get; set; }
}
