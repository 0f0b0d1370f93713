using System.Text;
using Amazon.S3;
using Amazon.S3.Model;
using Polly;
using Polly.Retry;
using Proxy.S3.Auth;
using Proxy.S3.Errors;
using Proxy.S3.Objects;
using BucketInfo = Proxy.S3.Objects.BucketInfo;
using SdkListedObject = Amazon.S3.Model.S3Object;
using SdkRange = Amazon.S3.Model.ByteRange;

namespace Proxy.Backends.Remote;

/// <summary>Reads a remote backend for the cache: fills, HEADs, revalidations.</summary>
/// <remarks>
/// Between the cache, which knows it as <see cref="IObjectSource"/>, and the AWS SDK, whose answers it does not take on trust: a range that is not
/// the one asked for, a body without a version, another version than the one named are refused or put right, never passed on. Thread-safe.
/// Tries idempotent reads again, on another endpoint if there is one, until the first byte of a body is out.
/// </remarks>
internal sealed class RemoteObjectStore : IObjectSource, IDisposable
{
    // Skipping is right but wasteful: a store that ignores ranges would send a gigabyte for the last block of one.
    private const long MaxSkippedBytes = 64 << 20;

    private static readonly ResiliencePropertyKey<Effort> EffortKey = new("Proxy.Effort");

    private readonly RemoteBackend _backend;
    private readonly AmazonS3Client[] _clients;
    private readonly ReadLimit _limit;
    private readonly TimeProvider _time;
    private readonly ResiliencePipeline _retries;
    private readonly HedgedReads _hedges;

    public RemoteObjectStore(RemoteBackend backend, RemoteCredentials credentials, RemoteHttp http, ReadLimit limit, TimeProvider time)
    {
        _backend = backend;
        _limit = limit;
        _time = time;
        _clients = [.. backend.Endpoints.Select(endpoint => S3ClientFactory.Create(endpoint, backend.Options, credentials, http))];
        _hedges = new HedgedReads(backend, limit, time);
        _retries = new ResiliencePipelineBuilder { TimeProvider = time }.AddRetry(new RetryStrategyOptions
        {
            MaxRetryAttempts = int.MaxValue, // ShouldHandle ends it
            BackoffType = DelayBackoffType.Exponential,
            UseJitter = true,
            Delay = backend.Options.RetryDelay,
            MaxDelay = TimeSpan.FromSeconds(1),
            ShouldHandle = args => ValueTask.FromResult(
                args.Outcome.Exception is S3Exception { Code: var code } && ReferenceEquals(code, S3ErrorCode.SlowDown) && backend.IsReachable
                && args.Context.Properties.TryGetValue(EffortKey, out var effort) && MayTryAgain(effort, args.AttemptNumber)),
            OnRetry = _ =>
            {
                backend.Counters.Retried();
                return ValueTask.CompletedTask;
            },
        }).Build();
    }

    public async ValueTask<ObjectInfo> HeadObjectAsync(ObjectId id, ObjectReadOptions options, CancellationToken cancellation)
    {
        var bucket = _backend.MapBucket(id.Bucket);
        using var turn = await EnterAsync(cancellation).ConfigureAwait(false);
        return await AskAsync("HeadObject", id, bucket, HeadAsync, cancellation).ConfigureAwait(false);

        async Task<ObjectInfo> HeadAsync(AmazonS3Client client, CountingHandler.SdkCall call, CancellationToken token)
        {
            var request = new GetObjectMetadataRequest
            {
                BucketName = bucket,
                Key = SdkKey(id.Key),
                EtagToMatch = options.Preconditions?.IfMatch,
                EtagToNotMatch = options.Preconditions?.IfNoneMatch,
                ModifiedSinceDate = options.Preconditions?.IfModifiedSince?.UtcDateTime,
                UnmodifiedSinceDate = options.Preconditions?.IfUnmodifiedSince?.UtcDateTime,
                PartNumber = options.PartNumber,
                ChecksumMode = options.WithChecksums ? ChecksumMode.ENABLED : null,
            };
            await client.GetObjectMetadataAsync(request, token).ConfigureAwait(false);
            using var response = call.Response!;
            var etag = ETagOf(response, id, bucket, options.Preconditions?.IfMatch);
            if ((int)response.StatusCode == 206)
            {
                return ObjectFacts.TryContentRange(response, out _, out var total)
                    ? ObjectFacts.Read(response, total, etag, whole: false)
                    : throw SdkErrors.Nonsense($"/{bucket}/{id.Key}", "206 without a Content-Range");
            }

            var size = ObjectFacts.ContentLength(response) ?? throw SdkErrors.Nonsense($"/{bucket}/{id.Key}", "no Content-Length");
            return ObjectFacts.Read(response, size, etag, whole: options.PartNumber is null);
        }
    }

    public async ValueTask<ObjectBody> GetObjectAsync(ObjectId id, ObjectReadOptions options, CancellationToken cancellation)
    {
        var bucket = _backend.MapBucket(id.Bucket);
        var turn = await EnterAsync(cancellation).ConfigureAwait(false);
        try
        {
            var body = await AskAsync("GetObject", id, bucket, OpenAsync, cancellation, hedged: true).ConfigureAwait(false);
            ((BackendStream)body.Content).Own(turn);
            return body;
        }
        catch
        {
            turn.Dispose();
            throw;
        }

        async Task<ObjectBody> OpenAsync(AmazonS3Client client, CountingHandler.SdkCall call, CancellationToken token)
        {
            var request = new GetObjectRequest
            {
                BucketName = bucket,
                Key = SdkKey(id.Key),
                ByteRange = options.Range is { } range ? new SdkRange(range.ToString()) : null,
                EtagToMatch = options.Preconditions?.IfMatch,
                EtagToNotMatch = options.Preconditions?.IfNoneMatch,
                ModifiedSinceDate = options.Preconditions?.IfModifiedSince?.UtcDateTime,
                UnmodifiedSinceDate = options.Preconditions?.IfUnmodifiedSince?.UtcDateTime,
                PartNumber = options.PartNumber,
                ChecksumMode = options.WithChecksums ? ChecksumMode.ENABLED : null,
            };
            using var standIn = await client.GetObjectAsync(request, token).ConfigureAwait(false);
            return await BodyOfAsync(id, bucket, options, call.Response!, [call.Response!]).ConfigureAwait(false);
        }
    }

    public async ValueTask<ListPage> ListObjectsAsync(string bucket, ListQuery query, CancellationToken cancellation)
    {
        if (query.MaxKeys == 0)
        {
            return new ListPage { Objects = [] };
        }

        var mapped = _backend.MapBucket(bucket);
        using var turn = await EnterAsync(cancellation).ConfigureAwait(false);
        return await AskAsync("ListObjectsV2", null, mapped, ListAsync, cancellation).ConfigureAwait(false);

        async Task<ListPage> ListAsync(AmazonS3Client client, CountingHandler.SdkCall call, CancellationToken token)
        {
            var request = new ListObjectsV2Request
            {
                BucketName = mapped,
                Prefix = query.Prefix,
                Delimiter = query.Delimiter,
                MaxKeys = query.MaxKeys,
                Encoding = EncodingType.Url,
                // Every name under a common prefix sorts after it: the last code point steps over them all.
                StartAfter = query is { After: { } after, Delimiter: { Length: > 0 } delimiter } && after.EndsWith(delimiter, StringComparison.Ordinal)
                    ? after + "\U0010FFFF" : query.After,
            };
            var page = await client.ListObjectsV2Async(request, token).ConfigureAwait(false);
            var decode = page.Encoding == EncodingType.Url;
            string Name(string text) => decode ? Uri.UnescapeDataString(text.Replace('+', ' ')) : text;
            ListedObject[] objects = [.. (page.S3Objects ?? []).Select(one => Listed(one, Name(one.Key)))];
            string[] prefixes = [.. (page.CommonPrefixes ?? []).Select(Name)];
            var truncated = page.IsTruncated ?? false;
            return new ListPage
            {
                Objects = objects,
                CommonPrefixes = prefixes,
                IsTruncated = truncated,
                NextAfter = truncated ? Later(objects.LastOrDefault()?.Key, prefixes.LastOrDefault()) : null,
            };
        }
    }

    public async ValueTask<IReadOnlyList<BucketInfo>> ListBucketsAsync(CancellationToken cancellation)
    {
        using var turn = await EnterAsync(cancellation).ConfigureAwait(false);
        return await AskAsync("ListBuckets", null, "", ListAsync, cancellation).ConfigureAwait(false);

        static async Task<IReadOnlyList<BucketInfo>> ListAsync(AmazonS3Client client, CountingHandler.SdkCall call, CancellationToken token)
        {
            var answer = await client.ListBucketsAsync(new ListBucketsRequest(), token).ConfigureAwait(false);
            return [.. (answer.Buckets ?? []).Select(bucket => new BucketInfo(bucket.BucketName, new DateTimeOffset((bucket.CreationDate ?? DateTime.UnixEpoch).ToUniversalTime())))];
        }
    }

    public void Dispose()
    {
        foreach (var client in _clients)
        {
            client.Dispose();
        }
    }

    // The SDK takes a slash off the front of a key, and refuses to ask for nothing.
    private static string SdkKey(string key) => key.StartsWith('/') ? "/" + key : key;

    private static ListedObject Listed(SdkListedObject one, string key)
        => new(key, one.Size ?? 0, one.ETag ?? "", new DateTimeOffset((one.LastModified ?? DateTime.UnixEpoch).ToUniversalTime()))
        {
            StorageClass = one.StorageClass?.Value ?? "STANDARD",
            ChecksumAlgorithm = one.ChecksumAlgorithm?.FirstOrDefault(),
            ChecksumType = one.ChecksumType?.Value,
        };

    private static string? Later(string? key, string? prefix)
        => key is null || prefix is null ? key ?? prefix
         : Encoding.UTF8.GetBytes(key).AsSpan().SequenceCompareTo(Encoding.UTF8.GetBytes(prefix)) > 0 ? key : prefix;

    /// <summary>The version the answer is of.</summary>
    /// <exception cref="S3Exception">InternalError when it names none; PreconditionFailed when the backend ignored If-Match.</exception>
    private static string ETagOf(HttpResponseMessage response, ObjectId id, string bucket, string? ifMatch)
    {
        var etag = ObjectFacts.Header(response, "ETag");
        if (string.IsNullOrEmpty(etag) || etag is "\"\"")
        {
            throw SdkErrors.Nonsense($"/{bucket}/{id.Key}", "it has no ETag, so its bytes belong to no version");
        }

        if (ifMatch is not null && !Preconditions.Matches(ifMatch, etag))
        {
            throw new S3Exception(S3ErrorCode.PreconditionFailed, $"/{bucket}/{id.Key}");
        }

        return etag;
    }

    private async Task<ObjectBody> BodyOfAsync(ObjectId id, string bucket, ObjectReadOptions options, HttpResponseMessage response, IDisposable[] owned)
    {
        var resource = $"/{bucket}/{id.Key}";
        var etag = ETagOf(response, id, bucket, options.Preconditions?.IfMatch);
        var declared = ObjectFacts.ContentLength(response);
        ByteSpan span;
        long size;
        long skip = 0;
        if ((int)response.StatusCode == 206)
        {
            if (!ObjectFacts.TryContentRange(response, out span, out size))
            {
                throw SdkErrors.Nonsense(resource, $"206 with Content-Range '{ObjectFacts.Header(response, "Content-Range")}'");
            }

            if (options.Range is { } asked && (!asked.TryResolve(size, out var expected) || expected != span))
            {
                throw SdkErrors.Nonsense(resource, $"{asked} was asked for and '{ObjectFacts.Header(response, "Content-Range")}' came");
            }

            if (options.Range is null && options.PartNumber is null && span.Length != size)
            {
                throw SdkErrors.Nonsense(resource, "a part of the object came where the whole was asked for");
            }
        }
        else
        {
            size = declared ?? throw SdkErrors.Nonsense(resource, "no Content-Length");
            span = new ByteSpan(0, size);
            if (options.Range is { } asked)
            {
                // The store ignored the range and sends everything: right bytes, to be cut out here.
                if (!asked.TryResolve(size, out span))
                {
                    throw new S3Exception(S3ErrorCode.InvalidRange, resource);
                }

                skip = span.Offset;
                declared = null;
                if (skip > MaxSkippedBytes)
                {
                    throw SdkErrors.Nonsense(resource, $"it ignores ranges, and {asked} lies too far in");
                }
            }
        }

        if (declared is { } length && length != span.Length)
        {
            throw SdkErrors.Nonsense(resource, $"Content-Length {length} for {span.Length} bytes");
        }

        var raw = await response.Content.ReadAsStreamAsync(CancellationToken.None).ConfigureAwait(false);
        var info = ObjectFacts.Read(response, size, etag, whole: options.Range is null && options.PartNumber is null);
        return new ObjectBody(info, span, new BackendStream(raw, owned, skip, span.Length, resource, _backend.Counters, _backend.Options.StallTimeout, _time));
    }

    /// <exception cref="S3Exception">SlowDown 503 when no turn came in time.</exception>
    private async ValueTask<IDisposable> EnterAsync(CancellationToken cancellation)
    {
        try
        {
            return await _limit.EnterAsync(cancellation).ConfigureAwait(false);
        }
        catch (S3Exception)
        {
            _backend.Counters.RefusedAdmission();
            throw;
        }
    }

    /// <summary>
    /// The SDK drops the leading slash of a key, in the URL, or in what it signs, or in both: it would read another object or be refused. Such a request
    /// gets the key's own path and our signature.
    /// </summary>
    private async Task SignAnewAsync(HttpRequestMessage request, RemoteEndpoint endpoint, string bucket, string key)
    {
        string[] replaced = ["Authorization", "x-amz-date", "x-amz-content-sha256", "x-amz-security-token"];
        foreach (var name in replaced)
        {
            request.Headers.Remove(name);
        }

        var path = endpoint.PathFor(bucket, Uri.EscapeDataString(key).Replace("%2F", "/", StringComparison.Ordinal));
        var query = request.RequestUri!.Query.TrimStart('?');
        KeyValuePair<string, string>[] signed =
        [
            .. request.Headers.NonValidated.Where(header => header.Key.StartsWith("x-amz-", StringComparison.OrdinalIgnoreCase))
                .Select(header => KeyValuePair.Create(header.Key, header.Value.ToString())),
        ];
        var host = endpoint.HostFor(bucket);
        var credential = await _backend.GetCredentialAsync().ConfigureAwait(false);
        var signature = _backend.Signer.Sign(request.Method.Method, query.Length == 0 ? path : $"{path}?{query}", host, signed, PayloadHash.Empty, credential);
        request.Headers.Host = host;
        request.Headers.TryAddWithoutValidation("Authorization", signature.Authorization);
        request.Headers.TryAddWithoutValidation("x-amz-date", signature.AmzDate);
        request.Headers.TryAddWithoutValidation("x-amz-content-sha256", signature.ContentSha256);
        if (signature.SecurityToken is not null)
        {
            request.Headers.TryAddWithoutValidation("x-amz-security-token", signature.SecurityToken);
        }

        request.RequestUri = endpoint.UriFor(bucket, path, query);
    }

    /// <summary>
    /// A backend that says "not so fast" is asked again for as long as a turn would be waited for: the request keeps its turn meanwhile, so that
    /// the others wait behind it and the client sees a slow read instead of an error. Anything else has its number of tries.
    /// </summary>
    private bool MayTryAgain(Effort effort, int retriesBefore)
        => effort.WasThrottled ? _time.GetElapsedTime(effort.Started) < _backend.Options.Health.MaxWait : retriesBefore + 1 < _backend.Options.ReadAttempts;

    private async ValueTask<T> AskAsync<T>(
        string operation, ObjectId? id, string bucket, Func<AmazonS3Client, CountingHandler.SdkCall, CancellationToken, Task<T>> ask, CancellationToken cancellation, bool hedged = false)
        where T : class
    {
        var effort = new Effort(_time.GetTimestamp());
        var context = ResilienceContextPool.Shared.Get(cancellation);
        context.Properties.Set(EffortKey, effort);
        try
        {
            var answer = await _retries.ExecuteAsync(
                async at =>
                {
                    effort.Tries++;
                    return await (hedged ? _hedges.AskAsync(TryAsync, at.CancellationToken) : TryAsync(at.CancellationToken)).ConfigureAwait(false);
                },
                context).ConfigureAwait(false);
            if (effort.Tries > 1)
            {
                _backend.Counters.FailureAbsorbed();
            }

            return answer;
        }
        finally
        {
            ResilienceContextPool.Shared.Return(context);
        }

        Task<T> TryAsync(CancellationToken token) => TryOnceAsync(operation, id, bucket, ask, effort, token);
    }

    private async Task<T> TryOnceAsync<T>(
        string operation, ObjectId? id, string bucket, Func<AmazonS3Client, CountingHandler.SdkCall, CancellationToken, Task<T>> ask, Effort effort, CancellationToken cancellation)
    {
        effort.WasThrottled = false;
        if (!_backend.TryPickEndpoint(out var endpoint))
        {
            throw SdkErrors.SlowDown(id is { } known ? $"/{bucket}/{known.Key}" : $"/{bucket}", "The backend cannot be reached.", null);
        }

        using var deadline = new CancellationTokenSource(_backend.Options.ResponseTimeout, _time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(deadline.Token, cancellation);
        var call = CountingHandler.Enter(operation, takesAnswer: id is not null);
        if (id is { } named && named.Key.StartsWith('/'))
        {
            call.PutRightAsync = request => SignAnewAsync(request, endpoint, bucket, named.Key);
        }

        try
        {
            var answer = await ask(_clients[endpoint.Index], call, either.Token).ConfigureAwait(false);
            _backend.ReportReached(endpoint);
            _limit.Succeeded();
            return answer;
        }
        catch (Exception failure) when (!cancellation.IsCancellationRequested)
        {
            var status = call.Response is { } response ? (int)response.StatusCode : 0;
            if (status != 0)
            {
                _backend.ReportReached(endpoint);
            }
            else if (deadline.IsCancellationRequested || SdkErrors.IsConnectFailure(failure))
            {
                _backend.ReportUnreachable(endpoint);
            }

            if (status is 429 or 503)
            {
                effort.WasThrottled = true;
                _limit.Throttled();
            }
            else if (deadline.IsCancellationRequested)
            {
                _limit.Throttled(); // no answer in time: as good a sign of too much as being told
            }

            var refusal = SdkErrors.Translate(failure, id, bucket, status, call.Response is null ? null : ObjectFacts.Header(call.Response, "ETag"));
            call.Response?.Dispose();
            throw refusal;
        }
        catch
        {
            call.Response?.Dispose();
            throw;
        }
    }

    /// <summary>One read over all its tries. Written by one try at a time, but for hedges, where either word will do.</summary>
    private sealed class Effort(long started)
    {
        public long Started { get; } = started;

        public int Tries { get; set; }

        /// <summary>The last try was told 503 or 429.</summary>
        public bool WasThrottled { get; set; }
    }
}
