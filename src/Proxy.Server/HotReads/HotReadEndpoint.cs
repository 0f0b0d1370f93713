using System.Diagnostics;
using System.Net;
using Microsoft.AspNetCore.Connections;
using Proxy.Cache;
using Proxy.S3.Auth;
using Proxy.S3.Errors;
using Proxy.S3.Objects;
using Proxy.S3.Requests;
using Proxy.Server.Operations.Objects;
using Proxy.Server.Requests;
using Proxy.Server.Routing;
using Proxy.Server.Telemetry;
using Proxy.Server.Transport;

namespace Proxy.Server.HotReads;

/// <summary>Reads that lie in memory, and small ones on NVMe, answered before Kestrel has seen the request: the steps of <see cref="S3Endpoint"/>, by the same parts, for the plainest of requests.</summary>
/// <remarks>
/// Never refuses: what is not a clean hit – a miss, an error, a signature that does not fit, a long body – goes on to Kestrel as it came, and is answered as if nobody had
/// looked. Thread-safe.
/// </remarks>
internal sealed partial class HotReadEndpoint(
    ObjectCache cache, SignatureVerifier verifier, Addressing addressing, BackendRouter router, RequestTelemetry telemetry, ILogger<HotReadEndpoint> logger)
{
    /// <summary>What was found for a request: to be given to <see cref="AnswerAsync"/>.</summary>
    /// <param name="Read">Null for what is read from NVMe first: <paramref name="Opening"/> brings it, or null when the request is Kestrel's after all.</param>
    public readonly record struct Hit(S3Target Target, string User, ObjectRead? Read, ValueTask<ObjectRead?> Opening, bool WithChecksums, long StartedTimestamp);

    /// <returns>False: Kestrel's. Nothing was sent or counted.</returns>
    public bool TryFind(RequestHead head, out Hit hit)
    {
        hit = default;
        var started = Stopwatch.GetTimestamp();
        IoThread.EndTurn(started);
        var headers = new RequestHead.Headers(head);
        if (headers["authorization"] is null || HealthProbes.MayBe(head.Target))
        {
            return false;
        }

        try
        {
            var target = S3Target.Parse(head.Target, headers["host"], addressing);
            var bucket = target.BucketSpan;
            var key = target.KeySpan;

            // What a query asks for, and a key that a backend may fold, are S3Endpoint's to judge. Without one, a GET or HEAD with a key is GetObject or HeadObject.
            if (!target.HasKey || !target.Query.IsEmpty || key.IndexOf("..", StringComparison.Ordinal) >= 0 || !TryRange(headers["range"], out var range))
            {
                return false;
            }

            var user = verifier.Verify(head.IsHead ? "HEAD" : "GET", target, headers).Credential!;
            var model = router.Model;
            if (!user.Policy.Allows(bucket, key, write: false) || (!model.IsSingle && model.IsHidden(model.Resolve(bucket, key), target.Bucket)))
            {
                return false;
            }

            var checksums = range is null && GetObject.WantsChecksums(headers[GetObject.ChecksumMode]);
            var read = new ReadRequest { HeadOnly = head.IsHead, Range = range, NeedsChecksums = head.IsHead && checksums };
            ValueTask<ObjectRead?> opening = default;
            if (!cache.TryOpen(bucket, key, read, out var opened) && !cache.TryBring(bucket, key, read, model.Resolve(bucket, key).Source, out opening))
            {
                return false;
            }

            hit = new Hit(target, user.AccessKey, opened, opening, checksums, started);
            return true;
        }
        catch (S3Exception)
        {
            return false;
        }
    }

    /// <summary>Sends the answer. Not completed at once only while the client's socket is full.</summary>
    public async ValueTask AnswerAsync(RequestHead head, Hit hit, ObjectRead read, SocketOutput output, ConnectionContext connection)
    {
        var span = telemetry.Begin(new RequestHead.Headers(head));
        telemetry.HotRead(); // before anybody has the answer, who might look
        var requestId = RequestId.Next();
        var firstByte = Stopwatch.GetTimestamp();
        var sent = 0L;
        var (outcome, kind, isPartial) = (read.Outcome, read.Kind, read.IsPartial && read.Span.Length > 0);
        try
        {
            await using (read)
            {
                output.Advance(AnswerHead.Write(output.GetSpan(AnswerHead.MaxBytes(read.Info)), read, isPartial, hit.WithChecksums, requestId));
                var left = head.IsHead ? 0 : read.Span.Length;
                while (true)
                {
                    var piece = left > 0 ? await read.ReadNextAsync(connection.ConnectionClosed) : default;
                    if (left > 0)
                    {
                        left -= piece.IsEmpty || piece.Length > left ? throw new IOException($"A read of {read.Span.Length} bytes ended {left} before its end.") : piece.Length;
                        output.Attach(piece);
                        output.Advance(piece.Length);
                    }

                    var flushed = await output.FlushAsync();
                    sent += piece.Length;
                    if (left == 0 || flushed.IsCompleted)
                    {
                        break;
                    }

                    IoThread.EndTurn(Stopwatch.GetTimestamp());
                }
            }
        }
        catch (Exception e)
        {
            // After the first byte a cut connection is the only honest end.
            if (e is not OperationCanceledException)
            {
                LogBug(e, hit.Target.RawTarget, requestId);
            }

            connection.Abort(new ConnectionAbortedException("A read could not be sent.", e));
        }
        finally
        {
            telemetry.Finish(
                new RequestRecord
                {
                    Client = (connection.RemoteEndPoint as IPEndPoint)?.Address,
                    User = hit.User,
                    Method = head.IsHead ? "HEAD" : "GET",
                    Operation = head.IsHead ? S3Operation.HeadObject : S3Operation.GetObject,
                    Target = hit.Target,
                    Range = head.Find("range"),
                    Status = isPartial ? StatusCodes.Status206PartialContent : StatusCodes.Status200OK,
                    ErrorCode = null,
                    Outcome = outcome,
                    Kind = kind,
                    BytesSent = sent,
                    BytesReceived = 0,
                    Duration = Stopwatch.GetElapsedTime(hit.StartedTimestamp),
                    FirstByte = Stopwatch.GetElapsedTime(hit.StartedTimestamp, firstByte),
                    Backend = TimeSpan.Zero,
                    RequestId = requestId,
                },
                span);
        }
    }

    private static bool TryRange(string? header, out ByteRange? range)
    {
        range = null;
        if (header is null)
        {
            return true;
        }

        var kind = RangeHeader.Parse(header, out var one);
        range = kind == RangeKind.Single ? one : null;
        return kind != RangeKind.Multiple;
    }

    [LoggerMessage(4102, LogLevel.Error, "Sending {Target} from memory failed unexpectedly; the connection of request id {RequestId} was cut")]
    private partial void LogBug(Exception exception, string target, string requestId);
}
