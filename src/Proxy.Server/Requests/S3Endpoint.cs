using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Http.Features;
using Proxy.S3.Auth;
using Proxy.S3.Errors;
using Proxy.S3.Requests;
using Proxy.Server.Operations;
using Proxy.Server.Operations.Objects;
using Proxy.Server.Routing;
using Proxy.Server.Telemetry;
using Proxy.Server.Transport;

namespace Proxy.Server.Requests;

/// <summary>The flow of every S3 request: parse, authenticate, resolve, authorize, answer; and the one place where errors become answers.</summary>
/// <remarks>Between the listener and the operations. Thread-safe.</remarks>
internal sealed partial class S3Endpoint(
    SignatureVerifier verifier, Addressing addressing, BackendRouter router, OperationTable operations, PostObject forms, RequestTelemetry telemetry, TimeSpan stallTimeout, ILogger<S3Endpoint> logger)
{
    /// <summary>64 KiB and the framing of its signed chunks: a twentieth of a millisecond to digest.</summary>
    private const long SmallBodyBytes = 72 << 10;

    /// <remarks>
    /// 1. The target is parsed from its raw form: Kestrel's decoded path is not what was signed, nor what the key is.
    /// 2. The operation is named by method, query and headers.
    /// 3. The signature is verified before anything is looked up: no byte, hit or miss, without one.
    /// 4. The credential's policy is asked.
    /// 5. The operation answers.
    /// </remarks>
    public async Task HandleAsync(S3Request request)
    {
        IoThread.EndTurn(request.StartedTimestamp);
        var span = telemetry.Begin(request.Headers);
        try
        {
            var http = request.Http;
            request.StallTimeout = stallTimeout;
            http.Response.Headers["x-amz-request-id"] = request.RequestId;
            CloseWithoutContinue(http);
            if (HealthProbes.TryAnswer(request))
            {
                return;
            }

            request.Target = S3Target.Parse(http.Features.GetRequiredFeature<IHttpRequestFeature>().RawTarget, request.Header("Host"), addressing); // 1.
            request.Operation = OperationResolver.Resolve(request.Method, request.Target, request.Headers);                                        // 2.
            if (request.Operation is not (S3Operation.GetObject or S3Operation.HeadObject))
            {
                var mayStay = IsSmallChange(request);
                await IoThread.LeaveAsync(unlessQuiet: mayStay);
                http.Request.Body = new OffIoThreadStream(new PatientStream(http.Request.Body, stallTimeout), mayStay);
            }

            if (request.Operation == S3Operation.PostObject && request.Header("Authorization") is null)
            {
                await forms.AnswerAsync(request, RouteAndAnswerAsync); // signed inside the form
                return;
            }

            if (request.Method == "OPTIONS" && router.Model.Resolve(request.Target.BucketSpan, request.Target.KeySpan) is LocalBackend)
            {
                throw Preflight.Refusal(request); // a browser does not sign it
            }

            request.Auth = Authenticate(request);                                                                                                  // 3.
            if (request.Auth.IsPresigned)
            {
                HoistedHeaders.PutBack(request);

                // One of them may have changed what is asked for: an archive to unpack is no PutObject.
                request.Operation = OperationResolver.Resolve(request.Method, request.Target, request.Headers);
            }

            operations.Authorize(request);                                                                                                         // 4.
            await RouteAndAnswerAsync(request);                                                                                                    // 5.
        }
        catch (OperationCanceledException) when (request.Aborted.IsCancellationRequested)
        {
            // The client is gone: there is nobody to answer.
        }
        catch (Exception e)
        {
            await FailAsync(request, e);
        }
        finally
        {
            telemetry.Finish(request.ToRecord(), span);
        }
    }

    /// <summary>
    /// What a log does all day: with a backend elsewhere there is little to do but to sign it and to send it on. Not presigned: what stands in its query may yet make it a copy
    /// from our own store's files.
    /// </summary>
    private bool IsSmallChange(S3Request request)
    {
        var http = request.Http.Request;
        return request.Operation is S3Operation.PutObject or S3Operation.DeleteObject && request.Header("Authorization") is not null
            && (http.ContentLength ?? 0) <= SmallBodyBytes && http.Headers.TransferEncoding.Count == 0
            && router.Model.Resolve(request.Target.BucketSpan, request.Target.KeySpan) is RemoteS3Backend;
    }

    /// <summary>
    /// A client that waits for 100 Continue and is refused instead never sends its body. Kestrel would still take the first bytes of the
    /// next request for it, so such a connection ends with the refusal. It ends too with the answer to a body that nobody reads, and to an empty one, for which Kestrel
    /// sends no 100: botocore, having read a final answer in its place, reads the next answer of that connection wrong and waits for its end.
    /// </summary>
    private static void CloseWithoutContinue(HttpContext http)
    {
        if (http.Request.Headers.Expect.Count > 0)
        {
            http.Response.OnStarting(
                static state =>
                {
                    var response = (HttpResponse)state;
                    var request = response.HttpContext.Request;
                    if (response.StatusCode >= StatusCodes.Status300MultipleChoices || request.ContentLength == 0 || request.Method is not ("PUT" or "POST"))
                    {
                        response.Headers.Connection = "close";
                    }

                    return Task.CompletedTask;
                },
                http.Response);
        }
    }

    private ValueTask RouteAndAnswerAsync(S3Request request)
    {
        // A listing is of its prefix: it goes where the keys under it are.
        var (model, target) = (router.Model, request.Target);
        request.Backend = model.HasPrefixRoutes && request.Operation is S3Operation.ListObjects or S3Operation.ListObjectsV2 or S3Operation.ListMultipartUploads
            ? model.Resolve(target.BucketSpan, target.Query.Get("prefix"))
            : model.Resolve(target.BucketSpan, target.KeySpan);
        if (!model.IsSingle && target.HasBucket && model.IsHidden(request.Backend, target.Bucket))
        {
            throw new S3Exception(S3ErrorCode.NoSuchBucket, request.Resource);
        }

        // Our own store takes ".." for the part of a name that it is.
        if (request.Backend is not LocalBackend && target.KeySpan.IndexOf("..", StringComparison.Ordinal) >= 0
            && !request.Auth.Credential!.Policy.AllowsFolded(target.Bucket, target.Key, write: request.Method is not ("GET" or "HEAD")))
        {
            throw new S3Exception(S3ErrorCode.AccessDenied, request.Resource);
        }

        return operations.AnswerAsync(request);
    }

    private AuthenticatedRequest Authenticate(S3Request request)
    {
        try
        {
            return verifier.Verify(request.Method, request.Target, request.Headers);
        }
        catch (S3Exception e)
        {
            telemetry.AuthFailed(e.Code.Name);
            throw;
        }
    }

    private async ValueTask FailAsync(S3Request request, Exception error)
    {
        var http = request.Http;
        var refusal = error switch
        {
            S3Exception s3 => s3,
            BadHttpRequestException { StatusCode: StatusCodes.Status408RequestTimeout } => new S3Exception(S3ErrorCode.RequestTimeout),
            BadHttpRequestException { StatusCode: StatusCodes.Status413PayloadTooLarge } => new S3Exception(S3ErrorCode.EntityTooLarge),
            BadHttpRequestException bad => new S3Exception(S3ErrorCode.IncompleteBody, message: bad.Message),
            _ => null,
        };
        if (http.Response.HasStarted && !request.IsKeptWaiting)
        {
            // After the first byte an error document would pass for data: a cut connection is the only honest end.
            if (refusal is null && error is not (IOException or ConnectionAbortedException))
            {
                LogBug(error, request.Method, request.Resource, request.RequestId);
            }

            http.Abort();
            return;
        }

        if (refusal is null)
        {
            if (error is ConnectionResetException or ConnectionAbortedException)
            {
                return;
            }

            LogBug(error, request.Method, request.Resource, request.RequestId);
            refusal = new S3Exception(S3ErrorCode.InternalError, innerException: error);
        }

        request.ErrorCode = refusal.Code.Name;
        request.Outcome = null; // an error carries no X-Cache header, so it is no counted read either
        telemetry.Failed(refusal.Code.Name);
        try
        {
            await ErrorWriter.WriteAsync(request, refusal);
        }
        catch (Exception e) when (e is IOException or OperationCanceledException or ConnectionAbortedException)
        {
            // The client left while its error was on the way.
        }
    }

    [LoggerMessage(4101, LogLevel.Error, "{Method} {Resource} failed unexpectedly; the client got 500 with request id {RequestId}")]
    private partial void LogBug(Exception exception, string method, string resource, string requestId);
}
