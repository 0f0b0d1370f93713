using System.Net;
using System.Security.Cryptography;
using Microsoft.AspNetCore.Http.Features;
using Proxy.Backends.Remote;
using Proxy.S3.Auth;
using Proxy.S3.Errors;
using Proxy.S3.Streaming;
using Yarp.ReverseProxy.Forwarder;

namespace Proxy.Server.Forwarding;

/// <summary>Carries a request to a remote backend and its answer back, byte for byte, signed anew.</summary>
/// <remarks>
/// Between the operations, which decide what a request is, and YARP, which moves the bytes. Thread-safe. Sends every request exactly once: a
/// conditional PUT whose answer was lost must not be asked again, since its second answer would say that somebody else wrote the key. (Listings, which
/// change nothing, are asked again when they are told 503, and reads when the clock they were signed by was wrong.)
/// (1) see that a body without bytes passes its checks, and buffer the few that need a digest; (2) pick an endpoint and our keys; (3) hand the decoded
/// body to YARP as the request's own; (4) forward; (5) say how it ended.
/// </remarks>
public sealed partial class BackendForwarder(IHttpForwarder forwarder, ILogger<BackendForwarder> logger)
{
    /// <summary>AWS takes no longer DeleteObjects body: "Deleting multiple objects", 1000 keys.</summary>
    private const int MaxDigestedBytes = 2 << 20;

    /// <summary>Sends the request exactly once; nothing here ever repeats one that may have reached a backend, but for <see cref="ForwardRequest.IsPaced"/>.</summary>
    /// <returns>How it ended. With an <see cref="ForwardOutcome.Error"/> the response is untouched and the caller writes it.</returns>
    public async ValueTask<ForwardOutcome> ForwardAsync(HttpContext context, RemoteBackend backend, ForwardRequest request, CancellationToken cancellation)
    {
        using var use = backend.Begin();

        // (1)
        var body = new ForwardedBody(request.Body ?? Stream.Null, request.Body is null ? 0 : request.BodyLength);
        Stream content = body;
        var length = request.Body is null ? 0 : request.BodyLength;
        var payloadHash = request.Body is null ? PayloadHash.Empty
            : backend.Options.PayloadSigning == PayloadSigning.Auto && request.BodySha256 is not null ? request.BodySha256
            : PayloadHash.Unsigned;
        string? contentMd5 = null;
        AwsChunkedStream? framed = null;
        try
        {
            await body.CheckEmptyAsync(cancellation);
            if (NeedsDigest(context.Request, backend, request))
            {
                var whole = await BufferAsync(body, cancellation);
                contentMd5 = Convert.ToBase64String(MD5.HashData(whole));
                payloadHash = Convert.ToHexStringLower(SHA256.HashData(whole));
                length = whole.Length;
                content = new MemoryStream(whole, writable: false);
            }
            else if (backend.Options.TrailingChecksums == TrailingChecksums.Forward && request is { Trailer: { } trailer, Body: not null, BodyLength: { } decoded })
            {
                content = framed = new AwsChunkedStream(body, decoded, trailer.Algorithm, trailer.Value);
                length = AwsChunkedStream.EncodedLength(decoded, trailer.Algorithm);
                payloadHash = PayloadHash.StreamingUnsignedTrailer;
            }
        }
        catch (S3Exception rejection)
        {
            return new ForwardOutcome(ForwardOutcomeKind.BodyRejected, 0, rejection, rejection);
        }
        catch (Exception failure) when (failure is IOException or OperationCanceledException or BadHttpRequestException)
        {
            return ClientGone(failure);
        }

        // (2)
        Credential credential;
        try
        {
            credential = await backend.GetCredentialAsync(cancellation);
        }
        catch (S3Exception refusal)
        {
            return new ForwardOutcome(ForwardOutcomeKind.BackendUnreachable, 0, refusal, refusal);
        }
        catch (OperationCanceledException gone)
        {
            return ClientGone(gone);
        }

        // (3) YARP copies HttpContext.Request.Body and allows no other content. A request that changes something always gets one, if
        // empty: SocketsHttpHandler repeats a request without content when a pooled connection closes on it.
        var clientBody = context.Request.Body;
        context.Request.Body = content;

        // A WebSocket's opening goes out as a GET, whatever it came as, and no S3 operation is one.
        context.Request.Headers.Remove("Upgrade");
        context.Features.Set<IHttpRequestBodyDetectionFeature>(new BodyDetection(!HttpMethods.IsGet(context.Request.Method) && !HttpMethods.IsHead(context.Request.Method)));
        var attempt = new Attempt(request, body, framed, credential, contentMd5, payloadHash, length)
        {
            IsRead = request.Body is null && (HttpMethods.IsGet(context.Request.Method) || HttpMethods.IsHead(context.Request.Method)),
        };
        try
        {
            return await (request.IsPaced ? ForwardPacedAsync(context, backend, attempt, cancellation) : ForwardToOneOfAsync(context, backend, attempt, mayHoldBack: false, cancellation));
        }
        finally
        {
            context.Request.Body = clientBody;
        }
    }

    /// <summary>A read that can wait: takes its turn among the proxy's own reads, and is asked again while the backend says that it gets too much.</summary>
    private async ValueTask<ForwardOutcome> ForwardPacedAsync(HttpContext context, RemoteBackend backend, Attempt attempt, CancellationToken cancellation)
    {
        try
        {
            using var turn = await backend.EnterReadAsync(cancellation);
            var inTurn = attempt with { Turn = turn };
            while (true)
            {
                var outcome = await ForwardToOneOfAsync(context, backend, inTurn, mayHoldBack: true, cancellation);
                if (outcome.Kind != ForwardOutcomeKind.HeldBack)
                {
                    return outcome;
                }

                if (!await turn.AgainAsync(cancellation))
                {
                    return new ForwardOutcome(ForwardOutcomeKind.BackendFailed, outcome.StatusCode, SlowDown("The backend gets too many requests."), null);
                }
            }
        }
        catch (S3Exception refusal)
        {
            return new ForwardOutcome(ForwardOutcomeKind.BackendUnreachable, 0, refusal, refusal);
        }
        catch (OperationCanceledException gone)
        {
            return new ForwardOutcome(ForwardOutcomeKind.ClientAborted, 0, null, gone);
        }
    }

    /// <summary>Sends the request once. Only an endpoint that no connection could be made to is passed over for the next one: it got no byte of it.</summary>
    private async ValueTask<ForwardOutcome> ForwardToOneOfAsync(HttpContext context, RemoteBackend backend, Attempt attempt, bool mayHoldBack, CancellationToken cancellation)
    {
        for (var endpoints = 1; ; endpoints++)
        {
            if (!backend.TryPickEndpoint(out var endpoint))
            {
                return new ForwardOutcome(ForwardOutcomeKind.BackendUnreachable, 0, SlowDown("The backend cannot be reached."), null);
            }

            var outcome = await SendOnceAsync(context, backend, endpoint, attempt, mayHoldBack, cancellation);
            if (outcome.Kind == ForwardOutcomeKind.Misdated && attempt.IsRead)
            {
                outcome = await SendOnceAsync(context, backend, endpoint, attempt, mayHoldBack, cancellation);
            }

            if (outcome.Kind == ForwardOutcomeKind.Misdated)
            {
                // It changes something, and its body may be spent. To the client it is no word about its own signature, and sent again it will be taken.
                return new ForwardOutcome(ForwardOutcomeKind.BackendUnreachable, 0, SlowDown(RemoteBackend.Misdated), null);
            }

            if (outcome.Kind != ForwardOutcomeKind.BackendUnreachable || endpoints >= backend.Endpoints.Count || attempt.Body.IsTouched || attempt.Framed is { HasBegun: true } || attempt.ContentMd5 is not null)
            {
                return outcome;
            }
        }
    }

    private async ValueTask<ForwardOutcome> SendOnceAsync(
        HttpContext context, RemoteBackend backend, RemoteEndpoint endpoint, Attempt attempt, bool mayHoldBack, CancellationToken cancellation)
    {
        var config = new ForwarderRequestConfig
        {
            ActivityTimeout = backend.Options.ForwardTimeout + TimeSpan.FromSeconds(5), // after the pool's own, which knows whose silence it is
            Version = HttpVersion.Version11,
            VersionPolicy = HttpVersionPolicy.RequestVersionExact,
        };

        // (4)
        var request = attempt.Request;
        var transformer = new ForwardTransformer(backend, endpoint, request, attempt.Credential, attempt.ContentMd5, attempt.PayloadHash, attempt.Length) { MayHoldBack = mayHoldBack, Turn = attempt.Turn };
        var error = await forwarder.SendAsync(context, endpoint.ToString(), backend.Invoker, config, transformer, cancellation);

        // (5)
        if (transformer.StatusCode != 0)
        {
            backend.ReportReached(endpoint);
            backend.ReportStatus(transformer.StatusCode);
        }

        if (error == ForwarderError.None)
        {
            if (!transformer.IsHeldBack)
            {
                return new ForwardOutcome(ForwardOutcomeKind.Completed, transformer.StatusCode, null, null);
            }

            // YARP has set the backend's; its phrase would outlive the status.
            context.Response.StatusCode = StatusCodes.Status200OK;
            context.Features.GetRequiredFeature<IHttpResponseFeature>().ReasonPhrase = null;
            return new ForwardOutcome(transformer.IsMisdated ? ForwardOutcomeKind.Misdated : ForwardOutcomeKind.HeldBack, transformer.StatusCode, null, null);
        }

        var outcome = OutcomeOf(error, context, attempt.Body, transformer.StatusCode, cancellation);
        if (outcome.Kind == ForwardOutcomeKind.BackendUnreachable || (outcome.Cause is { } cause && RemoteBackend.IsSilence(cause)))
        {
            backend.ReportUnreachable(endpoint, outcome.Cause);
        }

        if (outcome.Kind is ForwardOutcomeKind.BackendUnreachable or ForwardOutcomeKind.BackendFailed or ForwardOutcomeKind.ResponseBroken)
        {
            LogFailed(request.Operation, backend.Name, outcome.Kind, error, outcome.Cause);
        }

        if (outcome.Error is not null)
        {
            // YARP has set its own 502 or 504, and headers only if there was an answer.
            context.Response.StatusCode = StatusCodes.Status200OK;
            if (transformer.StatusCode != 0)
            {
                var requestId = context.Response.Headers["x-amz-request-id"];
                context.Response.Clear();
                context.Response.Headers["x-amz-request-id"] = requestId;
            }
        }

        return outcome;
    }

    private static ForwardOutcome OutcomeOf(ForwarderError error, HttpContext context, ForwardedBody body, int status, CancellationToken cancellation)
    {
        var cause = context.Features.Get<IForwarderErrorFeature>()?.Exception;
        var started = context.Response.HasStarted;
        if (status != 0 && (started || context.Response.StatusCode == status)
            && error is ForwarderError.RequestBodyClient or ForwarderError.RequestBodyDestination or ForwarderError.RequestBodyCanceled)
        {
            // The answer came whole before the body had gone out: it is the backend's word, and the hook has heard it. (Where the answer itself
            // broke off, YARP has put its own status in its place.)
            return new ForwardOutcome(ForwardOutcomeKind.Completed, status, null, cause);
        }

        if (body.Rejection is { } rejection)
        {
            return new ForwardOutcome(ForwardOutcomeKind.BodyRejected, status, started ? null : rejection, rejection);
        }

        // Where the answer broke off under way, YARP has cut the client's connection by now: that is not the client's doing.
        if (error is not ForwarderError.ResponseBodyDestination
            && (context.RequestAborted.IsCancellationRequested || cancellation.IsCancellationRequested || error is ForwarderError.ResponseBodyClient))
        {
            return new ForwardOutcome(ForwardOutcomeKind.ClientAborted, status, null, cause);
        }

        if (body.ClientFailure is { } clientFailure and not OperationCanceledException)
        {
            return ClientGone(clientFailure) with { StatusCode = status };
        }

        if (error == ForwarderError.ResponseHeaders && cause is S3Exception refusal)
        {
            return new ForwardOutcome(ForwardOutcomeKind.KeysRefused, status, refusal, cause);
        }

        if (status != 0)
        {
            var kind = started ? ForwardOutcomeKind.ResponseBroken : ForwardOutcomeKind.BackendFailed;
            return new ForwardOutcome(kind, status, started ? null : SlowDown("The backend's answer broke off."), cause);
        }

        return cause is not null && RemoteBackend.IsConnectFailure(cause)
            ? new ForwardOutcome(ForwardOutcomeKind.BackendUnreachable, 0, SlowDown("The backend cannot be reached."), cause)
            : new ForwardOutcome(ForwardOutcomeKind.BackendFailed, 0, SlowDown("The backend did not answer."), cause);
    }

    private static ForwardOutcome ClientGone(Exception failure)
        => new(ForwardOutcomeKind.ClientAborted, 0, new S3Exception(S3ErrorCode.IncompleteBody, innerException: failure), failure);

    private static S3Exception SlowDown(string message) => new(S3ErrorCode.SlowDown, message: message) { Headers = [new("Retry-After", "1")] };

    /// <summary>DeleteObjects and bucket configurations, where MinIO insists on Content-MD5 and SDKs since January 2025 send a CRC instead.</summary>
    private static bool NeedsDigest(HttpRequest client, RemoteBackend backend, ForwardRequest request)
        => backend.Options.AddDeleteMd5 && request.Body is not null && request.RawKey is null && !string.IsNullOrEmpty(request.RawQuery)
            && (HttpMethods.IsPost(client.Method) || HttpMethods.IsPut(client.Method)) && !client.Headers.ContainsKey("Content-MD5");

    private static async ValueTask<byte[]> BufferAsync(ForwardedBody body, CancellationToken cancellation)
    {
        using var whole = new MemoryStream();
        var piece = new byte[16 << 10];
        while (true)
        {
            var read = await body.ReadAsync(piece, cancellation);
            if (read == 0)
            {
                return whole.ToArray();
            }

            whole.Write(piece, 0, read);
            if (whole.Length > MaxDigestedBytes)
            {
                throw new S3Exception(S3ErrorCode.EntityTooLarge);
            }
        }
    }

    [LoggerMessage(4301, LogLevel.Warning, "{Operation} to backend {Backend} ended as {Outcome} ({Error})")]
    private partial void LogFailed(string operation, string backend, ForwardOutcomeKind outcome, ForwarderError error, Exception? cause);

    /// <summary>What is the same however often it is sent.</summary>
    private sealed record Attempt(
        ForwardRequest Request, ForwardedBody Body, AwsChunkedStream? Framed, Credential Credential, string? ContentMd5, string PayloadHash, long? Length, ReadTurn? Turn = null)
    {
        /// <summary>It changes nothing and has no body: it may be asked again.</summary>
        public required bool IsRead { get; init; }
    }

    private sealed record BodyDetection(bool CanHaveBody) : IHttpRequestBodyDetectionFeature;
}
