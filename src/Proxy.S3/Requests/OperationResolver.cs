namespace Proxy.S3.Requests;

/// <summary>Names the operation of a request, from one table of what each operation's query may hold.</summary>
/// <remarks>A sub-resource or parameter that is not in the table makes the request <see cref="S3Operation.Other"/>: it is never guessed at. Thread-safe.</remarks>
public static class OperationResolver
{
    private enum Level
    {
        Service,
        Bucket,
        Object,
    }

    // The first row that fits wins, so rows with required parameters stand before the plain ones.
    // Required: all must be there. Allowed: these and no others may be there too.
    private static readonly Row[] Rows =
    [
        new("GET", Level.Service, S3Operation.ListBuckets, [], ["max-buckets", "continuation-token", "prefix"]),

        new("GET", Level.Bucket, S3Operation.GetBucketLocation, ["location"], []),
        new("GET", Level.Bucket, S3Operation.GetBucketVersioning, ["versioning"], []),
        new("GET", Level.Bucket, S3Operation.ListMultipartUploads, ["uploads"],
            ["prefix", "delimiter", "key-marker", "upload-id-marker", "max-uploads", "encoding-type"]),
        new("GET", Level.Bucket, S3Operation.ListObjectsV2, ["list-type"],
            ["prefix", "delimiter", "max-keys", "continuation-token", "start-after", "fetch-owner", "encoding-type", "metadata"]), // metadata: minio-go's; S3 passes over it
        new("GET", Level.Bucket, S3Operation.ListObjects, [], ["prefix", "delimiter", "max-keys", "marker", "encoding-type"]),
        new("HEAD", Level.Bucket, S3Operation.HeadBucket, [], []),
        new("PUT", Level.Bucket, S3Operation.CreateBucket, [], []),
        new("DELETE", Level.Bucket, S3Operation.DeleteBucket, [], []),
        new("POST", Level.Bucket, S3Operation.DeleteObjects, ["delete"], []),
        new("POST", Level.Bucket, S3Operation.PostObject, [], []) { When = Condition.FormBody },

        new("GET", Level.Object, S3Operation.GetObjectTagging, ["tagging"], []),
        new("GET", Level.Object, S3Operation.GetObjectAttributes, ["attributes"], []),
        new("GET", Level.Object, S3Operation.ListParts, ["uploadId"], ["max-parts", "part-number-marker", "encoding-type"]),
        new("GET", Level.Object, S3Operation.GetObject, [], ReadParameters),
        new("HEAD", Level.Object, S3Operation.HeadObject, [], ReadParameters),
        new("PUT", Level.Object, S3Operation.UploadPartCopy, ["partNumber", "uploadId"], []) { When = Condition.CopySource },
        new("PUT", Level.Object, S3Operation.UploadPart, ["partNumber", "uploadId"], []),
        new("PUT", Level.Object, S3Operation.PutObjectTagging, ["tagging"], []),
        new("PUT", Level.Object, S3Operation.CopyObject, [], []) { When = Condition.CopySource },
        new("PUT", Level.Object, S3Operation.PutObject, [], []),
        new("DELETE", Level.Object, S3Operation.AbortMultipartUpload, ["uploadId"], []),
        new("DELETE", Level.Object, S3Operation.DeleteObjectTagging, ["tagging"], []),
        new("DELETE", Level.Object, S3Operation.DeleteObject, [], []),
        new("POST", Level.Object, S3Operation.CreateMultipartUpload, ["uploads"], []),
        new("POST", Level.Object, S3Operation.CompleteMultipartUpload, ["uploadId"], []),
    ];

    // What a store without versions and with ACLs disabled can answer truthfully. A remote backend may mean more by them.
    private static readonly Row[] LocalRows =
    [
        new("GET", Level.Bucket, S3Operation.ListObjectVersions, ["versions"],
            ["prefix", "delimiter", "max-keys", "key-marker", "version-id-marker", "encoding-type"]),
        new("GET", Level.Bucket, S3Operation.GetBucketAcl, ["acl"], []),
        new("PUT", Level.Bucket, S3Operation.PutBucketAcl, ["acl"], []),

        new("GET", Level.Object, S3Operation.GetObjectAcl, ["acl"], ["versionId"]),
        new("PUT", Level.Object, S3Operation.PutObjectAcl, ["acl"], ["versionId"]),
        new("GET", Level.Object, S3Operation.GetObjectTagging, ["tagging", "versionId"], []),
        new("PUT", Level.Object, S3Operation.PutObjectTagging, ["tagging", "versionId"], []),
        new("DELETE", Level.Object, S3Operation.DeleteObjectTagging, ["tagging", "versionId"], []),
        new("GET", Level.Object, S3Operation.GetObjectAttributes, ["attributes", "versionId"], []),
        new("GET", Level.Object, S3Operation.GetObject, ["versionId"], ReadParameters),
        new("HEAD", Level.Object, S3Operation.HeadObject, ["versionId"], ReadParameters),
        new("DELETE", Level.Object, S3Operation.DeleteObject, ["versionId"], []),
    ];

    private enum Condition
    {
        None,
        CopySource,
        FormBody,
    }

    private static string[] ReadParameters =>
    [
        "partNumber", "response-content-type", "response-content-language", "response-expires", "response-cache-control",
        "response-content-disposition", "response-content-encoding",
    ];

    /// <param name="method">As it came; S3 methods are upper case.</param>
    public static S3Operation Resolve<THeaders>(string method, in S3Target target, in THeaders headers)
        where THeaders : IRequestHeaders
    {
        var query = target.Query;
        if (target.HasKey && query.IsEmpty)
        {
            // The hot rows, without walking the table.
            switch (method)
            {
                case "GET":
                    return S3Operation.GetObject;
                case "HEAD":
                    return S3Operation.HeadObject;
            }
        }

        if (ChangesMeaning(method, headers))
        {
            return S3Operation.Other;
        }

        var operation = Find(Rows, method, target, headers);
        return operation == S3Operation.ListObjectsV2 && query.Get("list-type") != "2" ? S3Operation.Other : operation;
    }

    /// <summary>What a request resolved as <see cref="S3Operation.Other"/> asks of a store that never had versioning: its only version has the id <c>null</c>.</summary>
    public static S3Operation ResolveLocal<THeaders>(string method, in S3Target target, in THeaders headers)
        where THeaders : IRequestHeaders
        => ChangesMeaning(method, headers) || target.Query.Get("versionId") is not (null or "null") ? S3Operation.Other : Find(LocalRows, method, target, headers);

    private static S3Operation Find<THeaders>(Row[] rows, string method, in S3Target target, in THeaders headers)
        where THeaders : IRequestHeaders
    {
        var level = target.HasKey ? Level.Object : target.HasBucket ? Level.Bucket : Level.Service;
        foreach (var row in rows)
        {
            if (row.Level == level && row.Method == method && row.Fits(target.Query) && Holds(row.When, headers))
            {
                return row.Operation;
            }
        }

        return S3Operation.Other;
    }

    /// <summary>
    /// Whether a request resolved as <see cref="S3Operation.Other"/> may change what a read of its key answers. True for everything about a key that is not
    /// known to be a mere read: versionId on DELETE, acl, retention, restore, and whatever a backend may have invented.
    /// </summary>
    public static bool MayMutateKey(string method, in S3Target target)
        => target.HasKey && method switch
        {
            "GET" or "HEAD" or "OPTIONS" => false,
            "POST" => !IsSelect(target.Query),
            _ => true,
        };

    /// <summary>SelectObjectContent and nothing else: beside <c>uploadId</c> MinIO takes it for the end of an upload.</summary>
    private static bool IsSelect(S3Query query)
    {
        foreach (var pair in query)
        {
            if (!pair.Is("select") && !pair.Is("select-type") && !IsIgnored(pair))
            {
                return false;
            }
        }

        return query.Contains("select");
    }

    /// <summary>Whether a request resolved as <see cref="S3Operation.Other"/> may change keys that its request line does not name.</summary>
    /// <remarks>Also a write to a bucket's sub-resource that is not in our table: whoever invented it may have invented that too.</remarks>
    public static bool MayMutateUnnamedKeys<THeaders>(string method, in S3Target target, in THeaders headers)
        where THeaders : IRequestHeaders
        => target.HasBucket && (ChangesMeaning(method, headers) || (!target.HasKey && method is not ("GET" or "HEAD" or "OPTIONS")));

    // MinIO's recursive delete and archive upload, and S3's append and rename, change keys that the request line does not name.
    private static bool ChangesMeaning<THeaders>(string method, in THeaders headers)
        where THeaders : IRequestHeaders
        => method switch
        {
            "DELETE" => headers["x-minio-force-delete"] is not null,
            "PUT" => headers["x-amz-write-offset-bytes"] is not null || headers["x-amz-rename-source"] is not null
                || headers["x-amz-meta-snowball-auto-extract"] is not null || headers["x-amz-snowball-auto-extract"] is not null || headers["x-amz-snowball-extract"] is not null,
            _ => false,
        };

    private static bool Holds<THeaders>(Condition condition, in THeaders headers)
        where THeaders : IRequestHeaders
        => condition switch
        {
            Condition.CopySource => headers["x-amz-copy-source"] is not null,
            Condition.FormBody => headers["content-type"] is { } type && type.StartsWith("multipart/form-data", StringComparison.OrdinalIgnoreCase),
            _ => true,
        };

    // Parameters that say how a request is signed or which SDK sent it, and nothing about what it asks.
    private static bool IsIgnored(in S3QueryPair pair)
    {
        var name = pair.RawName;
        return name switch
        {
            "x-id" or "AWSAccessKeyId" or "Signature" or "Expires" => true,
            _ => name.StartsWith("X-Amz-", StringComparison.OrdinalIgnoreCase)
                && name[6..] is var rest
                && (rest.Equals("Algorithm", StringComparison.OrdinalIgnoreCase)
                    || rest.Equals("Credential", StringComparison.OrdinalIgnoreCase)
                    || rest.Equals("Date", StringComparison.OrdinalIgnoreCase)
                    || rest.Equals("Expires", StringComparison.OrdinalIgnoreCase)
                    || rest.Equals("SignedHeaders", StringComparison.OrdinalIgnoreCase)
                    || rest.Equals("Signature", StringComparison.OrdinalIgnoreCase)
                    || rest.Equals("Security-Token", StringComparison.OrdinalIgnoreCase)
                    || rest.Equals("Content-Sha256", StringComparison.OrdinalIgnoreCase)
                    || rest.Equals("User-Agent", StringComparison.OrdinalIgnoreCase)
                    || rest.Equals("Checksum-Mode", StringComparison.OrdinalIgnoreCase)
                    || rest.Equals("Sdk-Checksum-Algorithm", StringComparison.OrdinalIgnoreCase)
                    // aws-sdk-js presigns a PUT with the checksum of the empty body it had then; S3 does not look at it either.
                    || rest.StartsWith("Checksum-", StringComparison.OrdinalIgnoreCase)
                    || IsHoisted(name)),
        };
    }

    /// <summary>Whether a query parameter is a header that an SDK moved into a presigned URL, which S3 takes as the header it was.</summary>
    public static bool IsHoisted(ReadOnlySpan<char> name)
        => name.StartsWith("x-amz-meta-", StringComparison.OrdinalIgnoreCase)
            || name.Equals("x-amz-storage-class", StringComparison.OrdinalIgnoreCase)
            || name.Equals("x-amz-tagging", StringComparison.OrdinalIgnoreCase)
            || name.Equals("x-amz-acl", StringComparison.OrdinalIgnoreCase)
            || name.Equals("x-amz-website-redirect-location", StringComparison.OrdinalIgnoreCase)
            || name.StartsWith("x-amz-copy-source", StringComparison.OrdinalIgnoreCase)
            || name.Equals("x-amz-metadata-directive", StringComparison.OrdinalIgnoreCase)
            || name.Equals("x-amz-tagging-directive", StringComparison.OrdinalIgnoreCase)
            || name.Equals("x-amz-checksum-mode", StringComparison.OrdinalIgnoreCase)
            || name.Equals("x-amz-checksum-algorithm", StringComparison.OrdinalIgnoreCase)
            || name.Equals("x-amz-checksum-type", StringComparison.OrdinalIgnoreCase)
            || name.Equals("x-amz-rename-source", StringComparison.OrdinalIgnoreCase);

    private sealed record Row(string Method, Level Level, S3Operation Operation, string[] Required, string[] Allowed)
    {
        public Condition When { get; init; }

        public bool Fits(S3Query query)
        {
            foreach (var name in Required)
            {
                if (!query.Contains(name))
                {
                    return false;
                }
            }

            foreach (var pair in query)
            {
                if (!IsIgnored(pair) && !IsOneOf(pair, Required) && !IsOneOf(pair, Allowed))
                {
                    return false;
                }
            }

            return true;
        }

        private static bool IsOneOf(in S3QueryPair pair, string[] names)
        {
            foreach (var name in names)
            {
                if (pair.Is(name))
                {
                    return true;
                }
            }

            return false;
        }
    }
}
