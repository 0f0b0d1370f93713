using System.Diagnostics;
using Proxy.Cache;
using Proxy.S3.Errors;
using Proxy.S3.Objects;
using Proxy.S3.Requests;
using Proxy.Server.Requests;
using Proxy.Server.Routing;
using Proxy.Server.Transport;

namespace Proxy.Server.Operations.Objects;

/// <summary>GET and HEAD of an object, on every backend: from the cache where it may, from the backend where it must.</summary>
internal sealed class GetObject(ObjectCache cache, IOperation forwarded) : IOperation
{
    internal const string ChecksumMode = "x-amz-checksum-mode";

    // Headers that make an answer depend on more than key and range: such a read is never served from, nor put into, the cache.
    private static readonly string[] Uncacheable =
    [
        "x-amz-server-side-encryption-customer-algorithm", "x-amz-server-side-encryption-customer-key", "x-amz-request-payer", "x-amz-expected-bucket-owner",
        "x-minio-extract",
    ];

    public async ValueTask AnswerAsync(S3Request request)
    {
        var target = request.Target;
        var headOnly = request.Operation == S3Operation.HeadObject;
        var range = Range(request, out var severalRanges);
        var read = new ReadRequest { HeadOnly = headOnly, Range = range, Preconditions = Preconditions(request), NeedsChecksums = headOnly && range is null && WantsChecksums(request.Header(ChecksumMode)) };

        // 1. The hit: catalog and memory, synchronously.
        var plain = target.Query.IsEmpty && !severalRanges && !IsUncacheable(request);
        if (plain && cache.TryOpen(target.BucketSpan, target.KeySpan, read, out var hit))
        {
            await using (hit!)
            {
                await SendAsync(request, hit!, headOnly);
            }

            return;
        }

        // From here on files and sockets are waited for: not on the thread that serves other connections' hits, unless all it takes is to queue a read.
        if (!plain || !cache.IsAtHand(target.BucketSpan, target.KeySpan, read))
        {
            await IoThread.LeaveAsync(unlessQuiet: request.Backend is RemoteS3Backend);
        }

        // 2. What the cache does not do: the bypass class, one part, several ranges, reads that depend on further headers.
        if (cache.IsBypassed(target.BucketSpan, target.KeySpan) || target.Query.Contains("partNumber") || severalRanges || IsUncacheable(request))
        {
            await PassAsync(request, read, severalRanges);
            return;
        }

        // 3. Fill, revalidate, or read from NVMe.
        var asked = Stopwatch.GetTimestamp();
        await using var opened = await cache.OpenAsync(request.Id, read, request.Backend.Source, request.Aborted);
        if (opened.Outcome is not (CacheOutcome.HitMemory or CacheOutcome.HitNvme))
        {
            request.BackendTime = Stopwatch.GetElapsedTime(asked);
        }

        await SendAsync(request, opened, headOnly);
    }

    private static async ValueTask SendAsync(S3Request request, ObjectRead read, bool headOnly)
    {
        request.MarkFirstByte();
        (request.Outcome, request.Kind) = (read.Outcome, read.Kind);
        ObjectResponse.WriteHead(request.Response, read.Info, read.Span, read.IsPartial, read.Outcome);
        WholeObjectHeaders(request, read.Info, read.IsPartial);
        if (headOnly || read.Span.Length == 0)
        {
            return;
        }

        try
        {
            await ObjectResponse.WriteBodyAsync(request, read);
        }
        finally
        {
            request.CachedBytes = read.CachedBytes;
        }
    }

    private async ValueTask PassAsync(S3Request request, ReadRequest read, bool severalRanges)
    {
        (request.Outcome, request.Kind) = (CacheOutcome.Bypass, cache.KindOf(request.Target.KeySpan));
        if (request.Backend is RemoteS3Backend)
        {
            await forwarded.AnswerAsync(request);
            return;
        }

        if (IsUncacheable(request) && request.Header("x-amz-server-side-encryption-customer-algorithm") is not null)
        {
            throw new S3Exception(S3ErrorCode.NotImplemented, request.Resource);
        }

        // S3 answers a request for several ranges with the whole object.
        var options = new ObjectReadOptions
        {
            Range = severalRanges ? null : read.Range,
            Preconditions = read.Preconditions,
            PartNumber = request.Target.Query.GetInt("partNumber", 1, S3Limits.MaxPartNumber),
            WithChecksums = true,
        };
        var source = request.Backend.Source;
        var asked = Stopwatch.GetTimestamp();
        if (options is { PartNumber: not null, Range: not null })
        {
            throw new S3Exception(S3ErrorCode.InvalidRequest, request.Resource, "Cannot specify both Range header and partNumber query parameter");
        }

        if (read.HeadOnly && options.PartNumber is null)
        {
            var info = await source.HeadObjectAsync(request.Id, options, request.Aborted);
            Answered(request, asked);
            var span = new ByteSpan(0, info.Size);
            if (options.Range is { } range && !range.TryResolve(info.Size, out span))
            {
                throw OutsideTheObject(request, info.Size);
            }

            ObjectResponse.WriteHead(request.Response, info, span, options.Range is not null, CacheOutcome.Bypass);
            WholeObjectHeaders(request, info, options.Range is not null);
            return;
        }

        await using var body = await source.GetObjectAsync(request.Id, options, request.Aborted);
        Answered(request, asked);
        var partial = options.Range is not null || options.PartNumber is not null;
        ObjectResponse.WriteHead(request.Response, body.Info, body.Span, partial, CacheOutcome.Bypass);
        WholeObjectHeaders(request, body.Info, isPartial: options.Range is not null); // a part has checksums of its own
        if (options.PartNumber is not null && body.Info.PartCount is { } parts)
        {
            request.Response.Headers["x-amz-mp-parts-count"] = parts.ToString(System.Globalization.CultureInfo.InvariantCulture);
        }

        if (read.HeadOnly || body.Span.Length == 0)
        {
            return;
        }

        await StreamBody.WriteAsync(request, body.Content, body.Span.Length);
    }

    private static void Answered(S3Request request, long asked)
    {
        request.BackendTime = Stopwatch.GetElapsedTime(asked);
        request.MarkFirstByte();
    }

    /// <summary>Stored checksums (only of whole objects and parts, when asked for) and response-* overrides.</summary>
    private static void WholeObjectHeaders(S3Request request, ObjectInfo info, bool isPartial)
    {
        var headers = request.Response.Headers;
        if (!isPartial && info.ChecksumHeaders.Count > 0 && WantsChecksums(request.Header(ChecksumMode)))
        {
            foreach (var (name, value) in info.ChecksumHeaders)
            {
                headers[name] = value;
            }
        }

        if (request.Target.Query.IsEmpty)
        {
            return;
        }

        foreach (var (parameter, header) in Overrides)
        {
            if (request.Target.Query.Get(parameter) is { } value)
            {
                headers[header] = !value.Any(char.IsControl) ? value : throw new S3Exception(S3ErrorCode.InvalidArgument, request.Resource)
                {
                    Details = [new("ArgumentName", parameter), new("ArgumentValue", value)],
                };
            }
        }
    }

    /// <param name="mode">The header's value.</param>
    internal static bool WantsChecksums(string? mode) => string.Equals(mode, "ENABLED", StringComparison.OrdinalIgnoreCase);

    private static readonly (string Parameter, string Header)[] Overrides =
    [
        ("response-content-type", "Content-Type"), ("response-content-language", "Content-Language"), ("response-expires", "Expires"),
        ("response-cache-control", "Cache-Control"), ("response-content-disposition", "Content-Disposition"), ("response-content-encoding", "Content-Encoding"),
    ];

    internal static S3Exception OutsideTheObject(S3Request request, long size) =>
        new(S3ErrorCode.InvalidRange, request.Resource) { Headers = [new("Content-Range", $"bytes */{size}")] };

    private static ByteRange? Range(S3Request request, out bool several)
    {
        several = false;
        var header = request.Http.Request.Headers.Range;

        // If-Range asks for the range only of a version that the client has a part of. The whole is right for any version, and always allowed (RFC 9110, 13.1.5).
        if (header.Count == 0 || request.Http.Request.Headers.IfRange.Count > 0)
        {
            return null;
        }

        var kind = RangeHeader.Parse(header.ToString(), out var range);
        several = kind == RangeKind.Multiple;
        return kind == RangeKind.Single ? range : null;
    }

    private static Preconditions? Preconditions(S3Request request)
    {
        var headers = request.Http.Request.Headers;
        var (match, noneMatch) = (headers.IfMatch, headers.IfNoneMatch);
        var (modified, unmodified) = (headers.IfModifiedSince, headers.IfUnmodifiedSince);
        if (match.Count + noneMatch.Count + modified.Count + unmodified.Count == 0)
        {
            return null;
        }

        return new Preconditions
        {
            IfMatch = match.Count > 0 ? match.ToString() : null,
            IfNoneMatch = noneMatch.Count > 0 ? noneMatch.ToString() : null,
            IfModifiedSince = HttpDate.TryParse(modified.ToString(), out var since) ? since : null,
            IfUnmodifiedSince = HttpDate.TryParse(unmodified.ToString(), out var until) ? until : null,
        };
    }

    private static bool IsUncacheable(S3Request request)
    {
        var headers = request.Http.Request.Headers;
        foreach (var name in Uncacheable)
        {
            if (headers.ContainsKey(name))
            {
                return true;
            }
        }

        return false;
    }
}
