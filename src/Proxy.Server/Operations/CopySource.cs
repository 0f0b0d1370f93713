using Proxy.S3.Errors;
using Proxy.S3.Objects;
using Proxy.S3.Requests;
using Proxy.Server.Requests;
using Proxy.Server.Routing;

namespace Proxy.Server.Operations;

/// <summary>The x-amz-copy-source headers of CopyObject and UploadPartCopy.</summary>
internal static class CopySource
{
    /// <summary>The object named: <c>bucket/key</c> or <c>/bucket/key</c>, percent-encoded; the credential must be allowed to read it.</summary>
    /// <exception cref="S3Exception">InvalidArgument 400, NotImplemented 501 for a version, AccessDenied 403.</exception>
    public static ObjectId Read(S3Request request)
    {
        var header = request.Header("x-amz-copy-source") ?? "";
        var version = VersionAt(header);
        return version < 0 || header[(version + "?versionId=".Length)..] is "null" or ""
            ? Locate(request)
            : throw new S3Exception(S3ErrorCode.NotImplemented, request.Resource) { Details = [new("Header", "x-amz-copy-source")] };
    }

    /// <summary>As <see cref="Read"/>, for backends that know versions: whichever is named, it is one of this object.</summary>
    /// <exception cref="S3Exception">InvalidArgument 400, AccessDenied 403.</exception>
    public static ObjectId Locate(S3Request request)
    {
        var header = request.Header("x-amz-copy-source") ?? "";
        if (VersionAt(header) is var version and >= 0)
        {
            header = header[..version];
        }

        // Decoded first: some clients encode the whole value, the slash before it too.
        var source = Uri.UnescapeDataString(header);
        source = source.StartsWith('/') ? source[1..] : source;
        var slash = source.IndexOf('/', StringComparison.Ordinal);

        // A bucket's name, as in a request line: the backend reads this header with rules of its own, and "bucket://x/" is none of its buckets to Go's url.Parse.
        if (slash <= 0 || slash == source.Length - 1 || !BucketName.IsValidToAccess(source.AsSpan(0, slash)) || source[slash - 1] == ':')
        {
            throw new S3Exception(S3ErrorCode.InvalidArgument, request.Resource, "Copy Source must mention the source bucket and key: sourcebucket/sourcekey")
            {
                Details = [new("ArgumentName", "x-amz-copy-source"), new("ArgumentValue", header)],
            };
        }

        var id = new ObjectId(source[..slash], source[(slash + 1)..]);
        return request.Auth.Credential!.Policy.AllowsFolded(id.Bucket, id.Key, write: false) ? id : throw new S3Exception(S3ErrorCode.AccessDenied, "/" + id);
    }

    /// <summary>Where the source lies.</summary>
    /// <exception cref="S3Exception">NoSuchBucket 404 for a bucket under a name that only its backend knows, as for every other request.</exception>
    public static Backend Resolve(BackendRouter router, ObjectId source)
    {
        var model = router.Model;
        var backend = model.Resolve(source.Bucket, source.Key);
        return model.IsHidden(backend, source.Bucket) ? throw new S3Exception(S3ErrorCode.NoSuchBucket, "/" + source) : backend;
    }

    /// <summary>x-amz-metadata-directive and x-amz-tagging-directive: COPY (also when absent) or REPLACE.</summary>
    /// <exception cref="S3Exception">InvalidArgument 400.</exception>
    public static bool IsReplace(S3Request request, string name) => request.Header(name) switch
    {
        null or "COPY" => false,
        "REPLACE" => true,
        var other => throw new S3Exception(S3ErrorCode.InvalidArgument, request.Resource, "Unknown directive.") { Details = [new("ArgumentName", name), new("ArgumentValue", other)] },
    };

    public static Preconditions? Conditions(S3Request request)
    {
        var conditions = new Preconditions
        {
            IfMatch = request.Header("x-amz-copy-source-if-match"),
            IfNoneMatch = request.Header("x-amz-copy-source-if-none-match"),
            IfModifiedSince = Date(request, "x-amz-copy-source-if-modified-since"),
            IfUnmodifiedSince = Date(request, "x-amz-copy-source-if-unmodified-since"),
        };
        return conditions == new Preconditions() ? null : conditions;
    }

    /// <summary>x-amz-copy-source-range: exactly <c>bytes=first-last</c>.</summary>
    /// <exception cref="S3Exception">InvalidArgument 400.</exception>
    public static ByteRange? Range(S3Request request)
    {
        if (request.Header("x-amz-copy-source-range") is not { } header)
        {
            return null;
        }

        return RangeHeader.Parse(header, out var range) == RangeKind.Single && range is { First: not null, Last: not null }
            ? range
            : throw new S3Exception(S3ErrorCode.InvalidArgument, request.Resource, "The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are the zero-based offsets of the first and last bytes to copy")
            {
                Details = [new("ArgumentName", "x-amz-copy-source-range"), new("ArgumentValue", header)],
            };
    }

    /// <summary>A failed condition of a copy is always 412, also where a read would be told 304.</summary>
    public static S3Exception AsCopyError(S3Exception e) => e.Code == S3ErrorCode.NotModified ? new S3Exception(S3ErrorCode.PreconditionFailed, e.Resource) : e;

    private static int VersionAt(string header) => header.IndexOf("?versionId=", StringComparison.Ordinal);

    private static DateTimeOffset? Date(S3Request request, string name) => HttpDate.TryParse(request.Header(name) ?? "", out var date) ? date : null;
}
