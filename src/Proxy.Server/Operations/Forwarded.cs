using System.Diagnostics;
using Proxy.Cache;
using Proxy.Cache.Invalidation;
using Proxy.S3.Auth;
using Proxy.S3.Checksums;
using Proxy.S3.Errors;
using Proxy.S3.Objects;
using Proxy.S3.Requests;
using Proxy.S3.Streaming;
using Proxy.S3.Xml;
using Proxy.Server.Forwarding;
using Proxy.Server.Requests;
using Proxy.Server.Routing;
using Proxy.Server.Telemetry;

namespace Proxy.Server.Operations;

/// <summary>Everything on a remote backend that is no cached read: carried over and back as it came, with the cache told what it changes.</summary>
/// <remarks>
/// 1. The body is opened: decoded, verified while it streams, shown to a capture.
/// 2. The keys that the operation may change are invalidated before the request leaves.
/// 3. The request is forwarded once.
/// 4. When the backend's answer is known, and before the client sees it, the outcome is reported to the cache.
/// </remarks>
internal sealed class Forwarded(ObjectCache cache, BackendForwarder forwarder, BackendRouter router) : IOperation
{
    public async ValueTask AnswerAsync(S3Request request)
    {
        ForwardRefusals.RefuseManagement(request);
        ForwardRefusals.RefuseOtherSources(request);
        if (!HttpMethods.IsGet(request.Method) && !HttpMethods.IsHead(request.Method))
        {
            Upload.RefuseMetadataNames(request);
        }

        var operation = request.Operation;
        switch (operation)
        {
            case S3Operation.PutObject:
                await PutObjectAsync(request);
                break;
            case S3Operation.UploadPart:
                await UploadPartAsync(request);
                break;
            case S3Operation.CompleteMultipartUpload:
                await CompleteAsync(request);
                break;
            case S3Operation.AbortMultipartUpload:
                await SendAsync(request, Carry(request) with
                {
                    OnResponse = (_, _) =>
                    {
                        cache.DropUpload(request.Id, request.Target.Query.Get("uploadId") ?? "");
                        return default;
                    },
                });
                break;
            case S3Operation.DeleteObjects:
                await DeleteObjectsAsync(request);
                break;
            case S3Operation.CopyObject:
                await ChangeAsync(request, Carry(request) with { BufferResponse = true });
                break;
            case S3Operation.CreateMultipartUpload: // a key's version is what it was until Complete
                await SendAsync(request, Carry(request));
                break;
            case S3Operation.UploadPartCopy:
                await SendAsync(request, Carry(request) with { BufferResponse = true });
                break;
            case S3Operation.DeleteObject or S3Operation.PutObjectTagging or S3Operation.DeleteObjectTagging:
                await ChangeAsync(request, Carry(request));
                break;
            case S3Operation.DeleteBucket or S3Operation.PostObject: // a form signed by a header: its key is inside
                await ChangeBucketAsync(request);
                break;
            case S3Operation.Other when OperationResolver.MayMutateUnnamedKeys(request.Method, request.Target, request.Headers):
                await ChangeBucketAsync(request);
                break;
            default:
                // Unknown operations: whatever may touch a key counts as a change of it.
                await (OperationResolver.MayMutateKey(request.Method, request.Target) ? ChangeAsync(request, Carry(request)) : SendAsync(request, Carry(request)));
                break;
        }
    }

    private async ValueTask PutObjectAsync(S3Request request)
    {
        var content = Upload.Open(request);
        var id = request.Id;
        using var mutation = cache.BeginMutation(id);
        using var capture = IsUnderAKeyOfTheClients(request) ? null : cache.TryBeginCapture(id, content.Length);
        await using var body = new CaptureStream(content.Stream, capture);
        await SendAsync(request, mutation, Carry(request, body, content.Length) with
        {
            Trailer = Trailer(request, content),
            OnResponse = (answer, _) =>
            {
                Report(mutation, answer, () =>
                {
                    // SeaweedFS names no version of a folder's marker: then nothing can be published, only invalidated.
                    if (answer.ETag is { Length: > 0 } etag)
                    {
                        mutation.Stored(etag, capture, info: null, request.Backend.Source);
                    }
                    else
                    {
                        mutation.Changed();
                    }
                });
                return default;
            },
        });
        request.BytesReceived = body.BytesRead;
    }

    private async ValueTask UploadPartAsync(S3Request request)
    {
        var (number, uploadId) = Upload.Part(request);
        var content = Upload.Open(request);
        var id = request.Id;
        using var capture = IsUnderAKeyOfTheClients(request) ? null : cache.TryBeginPartCapture(id, uploadId, number, content.Length);
        await using var body = new CaptureStream(content.Stream, capture);
        await SendAsync(request, Carry(request, body, content.Length) with
        {
            Trailer = Trailer(request, content),
            OnResponse = (answer, _) =>
            {
                if (answer.Succeeded && answer.ETag is { } etag && capture is not null)
                {
                    cache.KeepPart(id, uploadId, number, etag, capture);
                }

                return default;
            },
        });
        request.BytesReceived = body.BytesRead;
    }

    private async ValueTask CompleteAsync(S3Request request)
    {
        var document = await RequestXml.ReadAsync(request, S3Limits.MaxCompleteXmlBytes);

        // Before it leaves: once the backend has done it, nobody must be told that the document was wrong.
        (int, string)[] parts = [.. MultipartXml.ReadComplete(document).Select(part => (part.Number, part.ETag))];
        var uploadId = request.Target.Query.Get("uploadId") ?? "";
        using var mutation = cache.BeginMutation(request.Id);
        await SendAsync(request, mutation, Carry(request, document) with
        {
            BufferResponse = true,
            OnResponse = (answer, _) =>
            {
                if (answer.StatusCode == StatusCodes.Status404NotFound)
                {
                    // No such upload, perhaps because the try before this one, whose answer was lost, has completed it.
                    mutation.Changed();
                    return default;
                }

                Report(mutation, answer, () =>
                {
                    // radosgw 16 answers Complete with an empty ETag: then nothing can be published, only invalidated.
                    if (CompleteResult.TryReadETag(answer.Body ?? default, out var etag))
                    {
                        mutation.Completed(uploadId, parts, etag, info: null, request.Backend.Source);
                    }
                    else
                    {
                        mutation.Changed();
                        cache.DropUpload(request.Id, uploadId);
                    }
                });
                return default;
            },
        });
    }

    private async ValueTask DeleteObjectsAsync(S3Request request)
    {
        var document = await RequestXml.ReadAsync(request, S3Limits.MaxDeleteXmlBytes);
        var policy = request.Auth.Credential!.Policy;
        var entries = DeleteXml.Read(document).Objects;
        if (entries.FirstOrDefault(entry => !policy.AllowsFolded(request.Target.Bucket, entry.Key, write: true)) is { } denied)
        {
            throw new S3Exception(S3ErrorCode.AccessDenied, $"/{request.Target.Bucket}/{denied.Key}");
        }

        var mutations = new List<Mutation>();
        try
        {
            mutations.AddRange(entries.Select(entry => cache.BeginMutation(new ObjectId(request.Target.Bucket, entry.Key))));
            await SendAsync(request, mutations, Carry(request, document) with
            {
                BufferResponse = true,
                OnResponse = (answer, _) =>
                {
                    foreach (var mutation in mutations)
                    {
                        Report(mutation, answer, mutation.Changed);
                    }

                    return default;
                },
            });
        }
        finally
        {
            mutations.ForEach(mutation => mutation.Dispose());
        }
    }

    private async ValueTask ChangeAsync(S3Request request, ForwardRequest forward)
    {
        using var mutation = cache.BeginMutation(request.Id);
        await SendAsync(request, mutation, forward with
        {
            OnResponse = (answer, _) =>
            {
                Report(mutation, answer, mutation.Changed);
                return default;
            },
        });
    }

    /// <summary>Changes keys that the request does not name: the whole bucket is forgotten before it leaves and again when it is answered, whatever the answer.</summary>
    private async ValueTask ChangeBucketAsync(S3Request request)
    {
        // Otherwise nothing would be sent, and what is known of the bucket is all that can be served of it meanwhile.
        ((RemoteS3Backend)request.Backend).Remote.RequireReachable(request.Resource);
        using var mutation = cache.BeginBucketMutation(request.Target.Bucket);
        await SendAsync(request, [mutation], Carry(request) with
        {
            OnResponse = (answer, _) =>
            {
                // A 5xx may still be at work; so may a backend that was cut off in the middle of an archive, where no answer comes at all.
                if (answer.StatusCode < StatusCodes.Status500InternalServerError)
                {
                    mutation.Changed();
                }

                return default;
            },
        });
    }

    /// <summary>SSE-C: the bytes are for whoever names the key, and only the backend can tell who does.</summary>
    private static bool IsUnderAKeyOfTheClients(S3Request request) => request.Header("x-amz-server-side-encryption-customer-algorithm") is not null;

    /// <summary>A 4xx changed nothing, a success did; anything else leaves the outcome unknown, which Dispose reports.</summary>
    private static void Report(Mutation mutation, BackendResponse answer, Action succeeded)
    {
        if (answer.Succeeded)
        {
            succeeded();
        }
        else if (answer.StatusCode is >= 400 and < 500 && answer.StatusCode != StatusCodes.Status408RequestTimeout)
        {
            mutation.Refused();
        }
    }

    /// <summary>A request without a body of its own kind: what there is, verified, goes along.</summary>
    private ForwardRequest Carry(S3Request request)
    {
        var http = request.Http.Request;
        if (http.ContentLength is null or 0 && http.Headers.TransferEncoding.Count == 0)
        {
            return Carry(request, body: null, length: null);
        }

        // Opened last: nobody would close it if the request were refused here.
        var forward = Carry(request, body: null, length: null);
        var content = PayloadReader.Open(http.Body, request.Auth, request.Headers);
        return forward with { Body = content.Stream, BodyLength = content.Length };
    }

    private ForwardRequest Carry(S3Request request, ReadOnlyMemory<byte> document) =>
        Carry(request, new MemoryStream(document.ToArray(), writable: false), document.Length);

    private ForwardRequest Carry(S3Request request, Stream? body, long? length)
    {
        var target = request.Target;
        return ForwardRequest.To(target, request.Operation.ToString()) with
        {
            Bucket = target.HasBucket ? ((RemoteS3Backend)request.Backend).RouteBucket(target.Bucket) : null,
            ClientBucket = target.HasBucket ? target.Bucket : null,
            CopySourceBucket = SourceBucket(request),
            SignedHeaders = request.Http.Request.Headers.Connection.Count > 0 ? request.Auth.SignedHeaders : "",
            IsPaced = IsPaced(request),
            Body = body,
            BodyLength = length,
            BodySha256 = request.Auth.Payload == PayloadMode.SignedSha256 ? request.Auth.PayloadSha256 : null,
        };
    }

    /// <summary>
    /// Reads whose answers are short. What we do not know may be an object of any length, or events without end: as slow as its reader, it would keep a turn
    /// from everybody's misses.
    /// </summary>
    private static bool IsPaced(S3Request request)
        => request.Method is "GET" or "HEAD" && (request.Operation is not (S3Operation.GetObject or S3Operation.HeadObject or S3Operation.Other)
            || (request.Operation == S3Operation.Other && !request.Target.HasKey && request.Target.Query.Contains("versions")));

    /// <summary>What the body's reader has already seen to be one checksum that S3 knows.</summary>
    private static TrailingChecksum? Trailer(S3Request request, UploadContent content)
        => ChecksumAlgorithms.TryParse(request.Header("x-amz-trailer"), out var algorithm)
            ? new TrailingChecksum(algorithm, () => content.ChecksumsAfterEnd()!.Value) : null;

    /// <summary>
    /// What a copy's source bucket is called where it goes; the credential must be allowed to read the source. Asked of every request that names one: a backend
    /// copies also where we know no operation of that query.
    /// </summary>
    /// <returns>Null when the request names no source.</returns>
    private string? SourceBucket(S3Request request)
    {
        if (request.Header("x-amz-copy-source") is null)
        {
            return null;
        }

        var source = CopySource.Locate(request);
        var from = CopySource.Resolve(router, source);
        return from.IsSameStore(request.Backend) ? from.Physical(source.Bucket) : throw new S3Exception(S3ErrorCode.NotImplemented, request.Resource);
    }

    private ValueTask SendAsync(S3Request request, ForwardRequest forward) => SendAsync(request, [], forward);

    private ValueTask SendAsync(S3Request request, Mutation mutation, ForwardRequest forward) => SendAsync(request, [mutation], forward);

    private async ValueTask SendAsync(S3Request request, IReadOnlyList<Mutation> mutations, ForwardRequest forward)
    {
        if (request.Outcome is not null)
        {
            request.Response.Headers["X-Cache"] = XCache.Header(request.Outcome.Value);
        }

        var report = forward.OnResponse;
        var asked = Stopwatch.GetTimestamp();
        var observed = forward with
        {
            OnResponse = (answer, cancellation) =>
            {
                request.BackendTime = Stopwatch.GetElapsedTime(asked);
                request.MarkFirstByte();
                request.BytesSent = request.Method == "HEAD" ? 0 : answer.Body?.Length ?? answer.Message.Content.Headers.ContentLength ?? 0;
                return report is null ? default : report(answer, cancellation);
            },
        };
        ForwardOutcome outcome;
        await using (forward.Body)
        {
            outcome = await forwarder.ForwardAsync(request.Http, ((RemoteS3Backend)request.Backend).Remote, observed, request.Aborted);
        }

        // What an archive had until then may be unpacked yet.
        var mayActOnAPart = request.Target.HasKey && OperationResolver.MayMutateUnnamedKeys(request.Method, request.Target, request.Headers);
        if (outcome.Kind == ForwardOutcomeKind.BackendUnreachable || (outcome.Kind == ForwardOutcomeKind.BodyRejected && !mayActOnAPart))
        {
            // Nothing reached the backend, or it was cut short of its length: nothing changed.
            foreach (var mutation in mutations)
            {
                mutation.Refused();
            }
        }

        if (outcome.Error is not null)
        {
            throw outcome.Error;
        }
    }
}
