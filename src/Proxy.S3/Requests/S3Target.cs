using System.Text;
using Proxy.S3.Errors;
using Proxy.S3.Objects;

namespace Proxy.S3.Requests;

/// <summary>What a request is about: bucket, key and query, read from the raw request target and never from a decoded path.</summary>
/// <remarks>
/// A key is a name: <c>..</c>, <c>//</c> and <c>+</c> are kept as they are, escapes are decoded once. A plain target (no <c>%</c>) allocates nothing
/// until <see cref="Bucket"/> or <see cref="Key"/> is asked for.
/// </remarks>
public readonly struct S3Target
{
    private readonly string _raw;
    private readonly int _pathStart;
    private readonly int _pathLength;
    private readonly Slice _bucket;
    private readonly Slice _key;

    private S3Target(string raw, int pathStart, int pathLength, Slice bucket, Slice key, bool isVirtualHost)
    {
        _raw = raw;
        _pathStart = pathStart;
        _pathLength = pathLength;
        _bucket = bucket;
        _key = key;
        IsVirtualHost = isVirtualHost;
    }

    /// <summary>As it stood in the request line.</summary>
    public string RawTarget => _raw;

    /// <summary>The path as it came, from its first slash; <c>/</c> when an absolute-form target has none.</summary>
    public ReadOnlySpan<char> RawPath => _pathLength == 0 ? "/" : _raw.AsSpan(_pathStart, _pathLength);

    /// <summary>The key as it came, percent-encoded, without the slash before it.</summary>
    public ReadOnlySpan<char> RawKey
    {
        get
        {
            var path = RawPath[1..];
            return IsVirtualHost ? path : path[(path.IndexOf('/') + 1)..];
        }
    }

    public S3Query Query
    {
        get
        {
            var start = Math.Min(_pathStart + _pathLength + 1, _raw.Length);
            return new S3Query(_raw, start, _raw.Length - start);
        }
    }

    public bool HasBucket => _bucket.Length > 0;

    public bool HasKey => _key.Length > 0;

    /// <summary>The bucket came in the host name, not in the path.</summary>
    public bool IsVirtualHost { get; }

    public ReadOnlySpan<char> BucketSpan => _bucket.Span;

    /// <summary>Decoded.</summary>
    public ReadOnlySpan<char> KeySpan => _key.Span;

    /// <summary>Empty when the request names none. Allocates on each call.</summary>
    public string Bucket => BucketSpan.ToString();

    /// <summary>Decoded; empty when the request names none. Allocates on each call unless the key had escapes.</summary>
    public string Key => _key.Start == 0 && _key.Length == _key.Text.Length ? _key.Text : KeySpan.ToString();

    public ObjectId ToObjectId() => new(Bucket, Key);

    /// <param name="rawTarget">The request line's target, origin form or absolute form, undecoded.</param>
    /// <param name="host">The Host header.</param>
    /// <exception cref="S3Exception">InvalidURI, InvalidBucketName, KeyTooLongError, all 400.</exception>
    public static S3Target Parse(string rawTarget, string? host, Addressing addressing)
    {
        var pathStart = FindPath(rawTarget, ref host);
        var pathLength = rawTarget.AsSpan(pathStart).IndexOf('?');
        if (pathLength < 0)
        {
            pathLength = rawTarget.Length - pathStart;
        }

        var path = rawTarget.AsSpan(pathStart, pathLength);
        var escaped = path.Contains('%');
        if (!escaped && !PercentEncoding.IsWellFormed(path))
        {
            throw new S3Exception(S3ErrorCode.InvalidUri);
        }

        var first = Math.Min(pathStart + 1, pathStart + pathLength);
        var end = pathStart + pathLength;
        var hostBucket = host is null ? 0 : addressing.BucketLength(host);
        Slice bucket;
        Slice key;
        if (hostBucket > 0)
        {
            bucket = new Slice(host!, 0, hostBucket);
            key = Decoded(rawTarget, first, end - first, escaped);
        }
        else
        {
            var slash = rawTarget.AsSpan(first, end - first).IndexOf('/');
            var bucketLength = slash < 0 ? end - first : slash;
            bucket = Decoded(rawTarget, first, bucketLength, escaped);
            key = slash < 0 ? new Slice("", 0, 0) : Decoded(rawTarget, first + slash + 1, end - first - slash - 1, escaped);
            if (bucketLength == 0 && slash >= 0)
            {
                throw new S3Exception(S3ErrorCode.InvalidBucketName);
            }
        }

        if (bucket.Length > 0 && !BucketName.IsValidToAccess(bucket.Span))
        {
            throw new S3Exception(S3ErrorCode.InvalidBucketName) { Details = [new("BucketName", bucket.Span.ToString())] };
        }

        if (key.Length > S3Limits.MaxKeyBytes / 3 && Encoding.UTF8.GetByteCount(key.Span) > S3Limits.MaxKeyBytes)
        {
            throw new S3Exception(S3ErrorCode.KeyTooLongError)
            {
                Details = [new("Size", Encoding.UTF8.GetByteCount(key.Span).ToString()), new("MaxSizeAllowed", S3Limits.MaxKeyBytes.ToString())],
            };
        }

        return new S3Target(rawTarget, pathStart, pathLength, bucket, key, hostBucket > 0);
    }

    private static int FindPath(string rawTarget, ref string? host)
    {
        if (rawTarget.StartsWith('/'))
        {
            return 0;
        }

        var authority = rawTarget.StartsWith("http://", StringComparison.OrdinalIgnoreCase) ? 7
            : rawTarget.StartsWith("https://", StringComparison.OrdinalIgnoreCase) ? 8
            : throw new S3Exception(S3ErrorCode.InvalidUri);
        var path = rawTarget.AsSpan(authority).IndexOfAny('/', '?');
        path = path < 0 ? rawTarget.Length : authority + path;
        if (host is not { Length: > 0 })
        {
            host = rawTarget[authority..path];
        }

        return path;
    }

    private static Slice Decoded(string raw, int start, int length, bool escaped)
    {
        var span = raw.AsSpan(start, length);
        if (!escaped || !span.Contains('%'))
        {
            return PercentEncoding.IsWellFormed(span) ? new Slice(raw, start, length) : throw new S3Exception(S3ErrorCode.InvalidUri);
        }

        var text = PercentEncoding.Decode(span, plusIsSpace: false) ?? throw new S3Exception(S3ErrorCode.InvalidUri);
        return new Slice(text, 0, text.Length);
    }

    private readonly struct Slice(string text, int start, int length)
    {
        public string Text { get; } = text;

        public int Start { get; } = start;

        public int Length { get; } = length;

        public ReadOnlySpan<char> Span => Text.AsSpan(Start, Length);
    }
}
