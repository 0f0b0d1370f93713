using System.Text;
using Amazon.S3;
using Amazon.S3.Model;
using Proxy.S3.Errors;
using Proxy.S3.Objects;
using BucketInfo = Proxy.S3.Objects.BucketInfo;
using SdkListedObject = Amazon.S3.Model.S3Object;

namespace Proxy.Backends.Remote;

/// <summary>Reads a remote backend for the cache: fills, HEADs, revalidations.</summary>
/// <remarks>
/// Between the cache, which knows it as <see cref="IObjectSource"/>, and the backend, whose answers it does not take on trust: a range that is not
/// the one asked for, a body without a version, another version than the one named are refused or put right, never passed on.
/// What is asked and what is believed is here, how it is asked (turns, tries, endpoints, hedges) in <see cref="RemoteCalls"/>, how it goes over the wire in
/// <see cref="ObjectRequests"/> and, for lists, in the AWS SDK. Thread-safe.
/// </remarks>
internal sealed class RemoteObjectStore : IObjectSource, IDisposable
{
    // Skipping is right but wasteful: a store that ignores ranges would send a gigabyte for the last block of one.
    private const long MaxSkippedBytes = 64 << 20;

    private readonly RemoteBackend _backend;
    private readonly RemoteCalls _calls;
    private readonly ObjectRequests _requests;
    private readonly AmazonS3Client[] _clients;
    private readonly BackendCounters.Traffic _reads;
    private readonly TimeProvider _time;

    public RemoteObjectStore(RemoteBackend backend, RemoteCredentials credentials, RemoteHttp http, ReadLimit limit, TimeProvider time)
    {
        _backend = backend;
        _calls = new RemoteCalls(backend, limit, time);
        _requests = new ObjectRequests(backend, http.Reads);
        _clients = [.. backend.Endpoints.Select(endpoint => S3ClientFactory.Create(endpoint, backend, credentials, http))];
        _reads = backend.Counters.TrafficOf(ObjectRequests.Get);
        _time = time;
    }

    public async ValueTask<ObjectInfo> HeadObjectAsync(ObjectId id, ObjectReadOptions options, CancellationToken cancellation)
    {
        var bucket = _backend.MapBucket(id.Bucket);
        using var turn = await _backend.EnterReadAsync(cancellation).ConfigureAwait(false);
        return await _calls.AskAsync(turn, id, bucket, HeadAsync, cancellation).ConfigureAwait(false);

        async Task<ObjectInfo> HeadAsync(ReadTry at, CancellationToken token)
        {
            using var response = await _requests.SendAsync(HttpMethod.Head, id, bucket, options, at, token).ConfigureAwait(false);
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
        var turn = await _backend.EnterReadAsync(cancellation, options.AtReadersPace).ConfigureAwait(false);
        try
        {
            var body = await _calls.AskAsync(turn, id, bucket, OpenAsync, cancellation, hedged: true).ConfigureAwait(false);
            ((BackendStream)body.Content).Own(turn);
            return body;
        }
        catch
        {
            turn.Dispose();
            throw;
        }

        async Task<ObjectBody> OpenAsync(ReadTry at, CancellationToken token)
        {
            var response = await _requests.SendAsync(HttpMethod.Get, id, bucket, options, at, token).ConfigureAwait(false);
            try
            {
                return await BodyOfAsync(id, bucket, options, response).ConfigureAwait(false);
            }
            catch
            {
                response.Dispose();
                throw;
            }
        }
    }

    public async ValueTask<ListPage> ListObjectsAsync(string bucket, ListQuery query, CancellationToken cancellation)
    {
        if (query.MaxKeys == 0)
        {
            return new ListPage { Objects = [] };
        }

        var mapped = _backend.MapBucket(bucket);
        using var turn = await _backend.EnterReadAsync(cancellation).ConfigureAwait(false);
        return await _calls.AskAsync(turn, null, mapped, ListAsync, cancellation).ConfigureAwait(false);

        async Task<ListPage> ListAsync(ReadTry at, CancellationToken token)
        {
            var request = new ListObjectsV2Request
            {
                BucketName = mapped,
                Prefix = query.Prefix,
                Delimiter = query.Delimiter,
                MaxKeys = query.MaxKeys,
                Encoding = EncodingType.Url,
                // Every name under a common prefix sorts after it: the last code point steps over them all.
                StartAfter = query.After is { } after && IsCommonPrefix(after, query) ? after + "\U0010FFFF" : query.After,
            };
            var page = await _clients[at.Endpoint.Index].ListObjectsV2Async(request, token).ConfigureAwait(false);
            while (page is { IsTruncated: true, S3Objects: null or { Count: 0 }, CommonPrefixes: null or { Count: 0 }, NextContinuationToken: { Length: > 0 } reached } && reached != request.ContinuationToken)
            {
                // It has passed over what is no longer there without finding a name: how far it has come only its own token tells. It is not silent.
                at.Status = 200;
                request.ContinuationToken = reached;
                page = await _clients[at.Endpoint.Index].ListObjectsV2Async(request, token).ConfigureAwait(false);
            }

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
        using var turn = await _backend.EnterReadAsync(cancellation).ConfigureAwait(false);
        return await _calls.AskAsync(turn, null, "", ListAsync, cancellation).ConfigureAwait(false);

        async Task<IReadOnlyList<BucketInfo>> ListAsync(ReadTry at, CancellationToken token)
        {
            var answer = await _clients[at.Endpoint.Index].ListBucketsAsync(new ListBucketsRequest(), token).ConfigureAwait(false);
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

    private static ListedObject Listed(SdkListedObject one, string key)
        => new(key, one.Size ?? 0, one.ETag ?? "", new DateTimeOffset((one.LastModified ?? DateTime.UnixEpoch).ToUniversalTime()))
        {
            StorageClass = one.StorageClass?.Value ?? "STANDARD",
            ChecksumAlgorithm = one.ChecksumAlgorithm?.FirstOrDefault(),
            ChecksumType = one.ChecksumType?.Value,
        };

    /// <summary>Whether the names that begin with <paramref name="name"/> are listed as one, or as part of one.</summary>
    private static bool IsCommonPrefix(string name, ListQuery query)
        => query.Delimiter is { Length: > 0 } delimiter && name.StartsWith(query.Prefix, StringComparison.Ordinal)
        && name.AsSpan(query.Prefix.Length).EndsWith(delimiter, StringComparison.Ordinal);

    private static string? Later(string? key, string? prefix)
        => key is null || prefix is null ? key ?? prefix
         : Encoding.UTF8.GetBytes(key).AsSpan().SequenceCompareTo(Encoding.UTF8.GetBytes(prefix)) > 0 ? key : prefix;

    /// <summary>The version the answer is of.</summary>
    /// <exception cref="S3Exception">InternalError when it names none; PreconditionFailed when the backend ignored If-Match.</exception>
    private static string ETagOf(HttpResponseMessage response, ObjectId id, string bucket, string? ifMatch)
    {
        var etag = ObjectFacts.ETag(response) ?? throw SdkErrors.Nonsense($"/{bucket}/{id.Key}", "it has no ETag, so its bytes belong to no version");
        if (ifMatch is not null && !Preconditions.Matches(ifMatch, etag))
        {
            throw new S3Exception(S3ErrorCode.PreconditionFailed, $"/{bucket}/{id.Key}");
        }

        return etag;
    }

    private async Task<ObjectBody> BodyOfAsync(ObjectId id, string bucket, ObjectReadOptions options, HttpResponseMessage response)
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
        return new ObjectBody(info, span, new BackendStream(raw, response, skip, span.Length, resource, _reads, _backend.Options.StallTimeout, _time));
    }
}
