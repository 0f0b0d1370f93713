using System.Globalization;
using Proxy.S3.Checksums;
using Proxy.S3.Errors;
using Proxy.S3.Objects;
using Proxy.S3.Requests;
using Proxy.S3.Streaming;
using Proxy.Server.Requests;

namespace Proxy.Server.Operations;

/// <summary>What every upload shares: opening its verified body, its limits, its stored headers.</summary>
internal static class Upload
{
    private const string MetadataPrefix = "x-amz-meta-";

    // What an object keeps of its upload's headers and answers with.
    private static readonly string[] Kept = ["cache-control", "content-disposition", "content-language", "expires", "x-amz-website-redirect-location"];

    private static readonly string[] StorageClasses =
    [
        "STANDARD", "REDUCED_REDUNDANCY", "STANDARD_IA", "ONEZONE_IA", "INTELLIGENT_TIERING", "GLACIER", "DEEP_ARCHIVE", "GLACIER_IR", "EXPRESS_ONEZONE",
    ];

    /// <summary>The decoded, verified body of a PUT or an UploadPart.</summary>
    /// <exception cref="S3Exception">MissingContentLength 411, EntityTooLarge 400, and what the payload's declaration gets wrong.</exception>
    public static UploadContent Open(S3Request request)
    {
        var http = request.Http.Request;
        var content = PayloadReader.Open(http.Body, request.Auth, request.Headers);
        if (content.Length is null && http.ContentLength is null && !http.Headers.TransferEncoding.ToString().Contains("chunked", StringComparison.OrdinalIgnoreCase))
        {
            throw new S3Exception(S3ErrorCode.MissingContentLength, request.Resource);
        }

        if (content.Length > S3Limits.MaxPutBytes)
        {
            content.Stream.Dispose();
            throw new S3Exception(S3ErrorCode.EntityTooLarge, request.Resource)
            {
                Details = [new("ProposedSize", content.Length.Value.ToString(CultureInfo.InvariantCulture)), new("MaxSizeAllowed", S3Limits.MaxPutBytes.ToString(CultureInfo.InvariantCulture))],
            };
        }

        return content;
    }

    /// <summary>Metadata, tags and conditions of an upload's headers.</summary>
    /// <exception cref="S3Exception">MetadataTooLarge, InvalidTag, InvalidStorageClass, InvalidRequest 400; NotImplemented 501 for encryption, ACL grants, object lock.</exception>
    public static PutOptions Options(S3Request request)
    {
        RefuseWhatIsNotImplemented(request);
        var headers = request.Http.Request.Headers;
        var kept = new List<KeyValuePair<string, string>>();
        foreach (var name in Kept)
        {
            if (request.Header(name) is { } value)
            {
                kept.Add(new(name, value));
            }
        }

        // The framing of the request is not a property of the object.
        if (PayloadReader.WithoutAwsChunked(request.Header("content-encoding")) is { Length: > 0 } encoding)
        {
            kept.Add(new("content-encoding", encoding));
        }

        if (request.Header("x-amz-storage-class") is { } storageClass)
        {
            if (!StorageClasses.Contains(storageClass))
            {
                throw new S3Exception(S3ErrorCode.InvalidStorageClass, request.Resource);
            }

            if (storageClass != "STANDARD")
            {
                kept.Add(new("x-amz-storage-class", storageClass));
            }
        }

        long metadataBytes = 0;
        foreach (var header in headers)
        {
            if (header.Key.StartsWith(MetadataPrefix, StringComparison.OrdinalIgnoreCase))
            {
                var value = string.Join(',', header.Value.ToArray());
                metadataBytes += header.Key.Length - MetadataPrefix.Length + value.Length;
                kept.Add(new(header.Key.ToLowerInvariant(), value));
            }
        }

        // No answer could carry them back.
        RefuseMetadataNames(request);
        if (kept.Exists(static header => !FieldValue.IsValid(header.Value)) || !FieldValue.IsValid(request.Header("content-type")))
        {
            throw new S3Exception(S3ErrorCode.InvalidRequest, request.Resource, "A header to be stored holds a control character.");
        }

        if (metadataBytes > S3Limits.MaxUserMetadataBytes)
        {
            throw new S3Exception(S3ErrorCode.MetadataTooLarge, request.Resource);
        }

        return new PutOptions
        {
            ContentType = request.Header("content-type") is { Length: > 0 } type ? type : null,
            Headers = kept,
            Tags = request.Header("x-amz-tagging") is { Length: > 0 } tags ? S3.Xml.TaggingXml.ReadHeader(tags) : [],
            IfMatch = request.Header("if-match"),
            IfNoneMatch = request.Header("if-none-match"),
            ChecksumAlgorithm = Algorithm(request)?.ToS3Name(),
            ChecksumType = request.Header("x-amz-checksum-type")?.ToUpperInvariant(),
        };
    }

    /// <summary>A form's field or a presigned query may hold a name that no header can have: no answer could carry it back, nor could a request to a backend.</summary>
    /// <exception cref="S3Exception">InvalidRequest 400.</exception>
    public static void RefuseMetadataNames(S3Request request)
    {
        var search = new UnsendableMetadata();
        request.Headers.VisitNames(ref search);
        if (search.Name is { } name)
        {
            throw new S3Exception(S3ErrorCode.InvalidRequest, request.Resource, "The name of a metadata header holds a character that no header's name may have.") { Details = [new("Header", name)] };
        }
    }

    /// <summary>x-amz-checksum-type: what a multipart upload's checksum is of.</summary>
    /// <exception cref="S3Exception">InvalidRequest 400 for neither COMPOSITE nor FULL_OBJECT.</exception>
    public static string? ChecksumType(S3Request request)
        => request.Header("x-amz-checksum-type")?.ToUpperInvariant() switch
        {
            null => null,
            ObjectChecksums.Composite => ObjectChecksums.Composite,
            ObjectChecksums.FullObject => ObjectChecksums.FullObject,
            _ => throw new S3Exception(S3ErrorCode.InvalidRequest, request.Resource, "Value for x-amz-checksum-type header is invalid."),
        };

    private static ChecksumAlgorithm? Algorithm(S3Request request)
    {
        if (request.Header("x-amz-checksum-algorithm") is not { } name)
        {
            return null;
        }

        return ChecksumAlgorithms.TryParse(name, out var algorithm) ? algorithm : throw new S3Exception(
            S3ErrorCode.InvalidRequest, request.Resource,
            $"Checksum algorithm provided is unsupported. Please try again with any of the valid types: [{string.Join(", ", ChecksumAlgorithms.All.Select(static one => one.ToS3Name()))}]");
    }

    /// <summary>Headers that promise what the local store does not do: silently ignoring them would be a lie about the data.</summary>
    private static void RefuseWhatIsNotImplemented(S3Request request)
    {
        foreach (var header in request.Http.Request.Headers)
        {
            if (header.Key.StartsWith("x-amz-server-side-encryption", StringComparison.OrdinalIgnoreCase)
                || header.Key.StartsWith("x-amz-object-lock-", StringComparison.OrdinalIgnoreCase)
                || header.Key.StartsWith("x-amz-grant-", StringComparison.OrdinalIgnoreCase))
            {
                throw new S3Exception(S3ErrorCode.NotImplemented, request.Resource) { Details = [new("Header", header.Key)] };
            }
        }
    }

    /// <summary>ETag and checksum headers of an upload's answer.</summary>
    public static void WriteResult(S3Request request, string etag, ObjectChecksums? checksums)
    {
        var headers = request.Response.Headers;
        headers.ETag = etag;
        if (checksums is not null)
        {
            headers[$"x-amz-checksum-{checksums.Algorithm.ToLowerInvariant()}"] = checksums.Value;
            headers["x-amz-checksum-type"] = checksums.Type;
        }
    }

    /// <summary>Part number and upload id of the query.</summary>
    /// <exception cref="S3Exception">InvalidArgument 400 unless 1 to 10,000.</exception>
    public static (int Number, string UploadId) Part(S3Request request)
    {
        var query = request.Target.Query;
        var number = query.GetInt("partNumber", int.MinValue, int.MaxValue);
        return number is >= 1 and <= S3Limits.MaxPartNumber
            ? (number.Value, query.Get("uploadId") ?? "")
            : throw new S3Exception(S3ErrorCode.InvalidArgument, request.Resource, "Part number must be an integer between 1 and 10000, inclusive")
            {
                Details = [new("ArgumentName", "partNumber"), new("ArgumentValue", query.Get("partNumber") ?? "")],
            };
    }

    private struct UnsendableMetadata : IHeaderNameVisitor
    {
        public string? Name { get; private set; }

        public bool Visit(string name)
        {
            if (name.StartsWith(MetadataPrefix, StringComparison.OrdinalIgnoreCase) && !FieldName.IsValid(name))
            {
                Name = name;
            }

            return Name is null;
        }
    }
}
