using System.Diagnostics;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Xml.Linq;
using Microsoft.AspNetCore.Http;
using Proxy.S3.Objects;
using Proxy.S3.Requests;

namespace Proxy.FunctionalTests.Faults;

/// <summary>The S3 operations a <see cref="FaultyBackend"/> knows.</summary>
internal sealed class FaultyOperations(FaultyStore store)
{
    public const string Declaration = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";

    /// <summary>Of an object that is only as long as a fault says.</summary>
    public static byte ByteAt(long offset) => (byte)((offset * 31) + (offset >> 20));

    /// <summary>Whether a fault that <see cref="Fault.StopsWithinBody"/> strikes it; of all, <c>*</c>, it strikes some.</summary>
    public static bool MayStopWithinBody(string operation) => operation is "*" or "GetObject" or "ListObjects" or "ListObjectsV2" or "CompleteMultipartUpload";

    public static string NameOf(HttpRequest request, in S3Target target)
    {
        var query = request.Query;
        return (request.Method, target.HasKey) switch
        {
            ("GET", false) when !target.HasBucket => "ListBuckets",
            ("GET", true) when query.ContainsKey("uploadId") => "ListParts",
            ("GET", true) => "GetObject",
            ("HEAD", true) => "HeadObject",
            ("PUT", true) when query.ContainsKey("uploadId") => request.Headers.ContainsKey("x-amz-copy-source") ? "UploadPartCopy" : "UploadPart",
            ("PUT", true) => request.Headers.ContainsKey("x-amz-copy-source") ? "CopyObject" : "PutObject",
            ("POST", true) when query.ContainsKey("uploads") => "CreateMultipartUpload",
            ("POST", true) => "CompleteMultipartUpload",
            ("DELETE", true) => query.ContainsKey("uploadId") ? "AbortMultipartUpload" : "DeleteObject",
            ("GET", false) => query.ContainsKey("list-type") ? "ListObjectsV2" : "ListObjects",
            ("HEAD", false) => "HeadBucket",
            ("PUT", false) => "CreateBucket",
            ("POST", false) when query.ContainsKey("delete") => "DeleteObjects",
            _ => "Unknown",
        };
    }

    public static Task ErrorAsync(HttpContext context, int status, string? code)
    {
        code ??= status switch { 403 => "AccessDenied", 404 => "NoSuchKey", 412 => "PreconditionFailed", 429 or 503 => "SlowDown", 416 => "InvalidRange", _ => "InternalError" };
        if (!context.Response.HasStarted)
        {
            context.Response.StatusCode = status;
        }

        Stamp(context);
        return HttpMethods.IsHead(context.Request.Method) || status == 304 ? Task.CompletedTask
            : XmlAsync(context, new XElement("Error", new XElement("Code", code), new XElement("Message", "As it was told."), new XElement("RequestId", "1")));
    }

    public async Task DoAsync(HttpContext context, string operation, S3Target target, byte[] body, Fault fault)
    {
        Stamp(context);
        var (bucket, key) = (target.Bucket, target.Key);
        if (operation == "CreateBucket")
        {
            context.Response.StatusCode = store.CreateBucket(bucket) ? 200 : 409;
        }
        else if (operation == "ListBuckets")
        {
            await XmlAsync(context, new XElement("ListAllMyBucketsResult", new XElement("Buckets", store.Buckets.Select(name =>
                new XElement("Bucket", new XElement("Name", name), new XElement("CreationDate", "2026-01-02T03:04:05.000Z"))))));
        }
        else if (!store.HasBucket(bucket))
        {
            await ErrorAsync(context, 404, "NoSuchBucket");
        }
        else
        {
            await (operation switch
            {
                "GetObject" or "HeadObject" => ReadAsync(context, bucket, key, fault),
                "PutObject" => PutAsync(context, bucket, key, body),
                "CopyObject" => CopyAsync(context, bucket, key),
                "DeleteObject" => DeleteAsync(context, bucket, key),
                "DeleteObjects" => DeleteManyAsync(context, bucket, body),
                "ListObjects" or "ListObjectsV2" => ListAsync(context, bucket, fault),
                "CreateMultipartUpload" => XmlAsync(context, new XElement("InitiateMultipartUploadResult", new XElement("UploadId", store.BeginUpload(bucket, key, Kept(context.Request))))),
                "UploadPart" => PartAsync(context, body),
                "UploadPartCopy" => PartCopyAsync(context),
                "CompleteMultipartUpload" => CompleteAsync(context, body, fault),
                "AbortMultipartUpload" => store.Abort(context.Request.Query["uploadId"]!) ? NoContentAsync(context) : ErrorAsync(context, 404, "NoSuchUpload"),
                "HeadBucket" => Task.CompletedTask,
                _ => ErrorAsync(context, 501, "NotImplemented"),
            });
        }
    }

    private static void Stamp(HttpContext context)
    {
        if (context.Response.HasStarted)
        {
            return; // 200 and white space, so far
        }

        context.Response.Headers.Server = "FaultyS3/1.0";
        context.Response.Headers["x-amz-request-id"] = "FAULTY" + Guid.NewGuid().ToString("N")[..10];
    }

    private static Task NoContentAsync(HttpContext context)
    {
        context.Response.StatusCode = 204;
        return Task.CompletedTask;
    }

    private static List<KeyValuePair<string, string>> Kept(HttpRequest request)
        => [.. request.Headers.Where(h => h.Key.StartsWith("x-amz-meta-", StringComparison.OrdinalIgnoreCase) || h.Key is "Content-Type" or "Content-Encoding" or "Cache-Control" or "Content-Disposition")
            .Select(h => KeyValuePair.Create(h.Key, h.Value.ToString()))];

    private static async Task XmlAsync(HttpContext context, XElement root, Fault? fault = null)
    {
        var text = root.ToString(SaveOptions.DisableFormatting);
        var bytes = Encoding.UTF8.GetBytes(fault is { QuotesAsEntities: true } ? text.Replace("\"", "&quot;", StringComparison.Ordinal) : text);
        if (!context.Response.HasStarted)
        {
            context.Response.ContentType = "application/xml";
            context.Response.ContentLength = bytes.Length;
        }

        if (fault is { StopsWithinBody: true })
        {
            await SendAsync(context, bytes, fault);
        }
        else
        {
            await context.Response.Body.WriteAsync(bytes);
        }
    }

    private async Task ReadAsync(HttpContext context, string bucket, string key, Fault fault)
    {
        var found = store.Find(bucket, key);
        if (found is null)
        {
            await ErrorAsync(context, 404, "NoSuchKey");
            return;
        }

        var (request, response) = (context.Request, context.Response);
        var conditions = new Preconditions { IfMatch = request.Headers.IfMatch.FirstOrDefault(), IfNoneMatch = request.Headers.IfNoneMatch.FirstOrDefault() };
        switch (conditions.Evaluate(found.ETag, found.LastModified))
        {
            case PreconditionOutcome.Failed:
                await ErrorAsync(context, 412, null);
                return;
            case PreconditionOutcome.NotModified:
                response.Headers.ETag = found.ETag;
                response.StatusCode = 304;
                return;
        }

        if (fault.ETag != "")
        {
            response.Headers.ETag = fault.ETag ?? found.ETag;
        }

        response.Headers.LastModified = found.LastModified.ToString("r", CultureInfo.InvariantCulture);
        response.Headers.AcceptRanges = "bytes";
        response.Headers["x-amz-version-id"] = found.VersionId;
        foreach (var (name, value) in found.Headers)
        {
            response.Headers[name] = value;
        }

        var size = fault.ObjectLength ?? found.Bytes.Length;
        var span = new ByteSpan(0, size);
        if (request.Headers.Range.FirstOrDefault() is { } text && !fault.IgnoreRange)
        {
            var ends = text["bytes=".Length..].Split('-');
            var range = new ByteRange(ends[0].Length > 0 ? long.Parse(ends[0]) : null, ends[1].Length > 0 ? long.Parse(ends[1]) : null);
            if (!range.TryResolve(size, out span))
            {
                await ErrorAsync(context, 416, null);
                return;
            }

            if (fault.WrongContentRange)
            {
                span = new ByteSpan(span.Offset + 1, span.Length);
            }

            response.StatusCode = 206;
            response.Headers.ContentRange = $"bytes {span.Offset}-{span.End - 1}/{size}";
        }

        response.ContentLength = fault.Chunked ? null : span.Length;
        if (!HttpMethods.IsHead(request.Method))
        {
            // Nobody is to read the whole of a length that is only said.
            var bytes = fault.ObjectLength is null ? found.Bytes.AsMemory((int)span.Offset, (int)Math.Min(span.Length, found.Bytes.Length - span.Offset))
                : Enumerable.Range(0, (int)Math.Min(span.Length, 1 << 20)).Select(i => ByteAt(span.Offset + i)).ToArray();
            await SendAsync(context, bytes, fault with { StallAfterBytes = fault.ObjectLength is null ? fault.StallAfterBytes : span.Length > bytes.Length ? bytes.Length : null });
        }
    }

    private static async Task SendAsync(HttpContext context, ReadOnlyMemory<byte> bytes, Fault fault)
    {
        var until = Math.Min(fault.ResetAfterBytes ?? long.MaxValue, fault.StallAfterBytes ?? long.MaxValue);
        await context.Response.StartAsync();
        var started = Stopwatch.GetTimestamp();
        for (var at = 0; at < bytes.Length && at < until;)
        {
            var piece = (int)Math.Min(Math.Min(fault.LineBytesPerSecond is not null ? 64 << 10 : fault.BytesPerSecond is null ? 1 << 20 : 16 << 10, bytes.Length - at), until - at);
            if (fault.LineBytesPerSecond is { } line && TimeSpan.FromSeconds((double)(at + piece) / line) - Stopwatch.GetElapsedTime(started) is { Ticks: > 0 } early)
            {
                await Task.Delay(early, context.RequestAborted);
            }

            await context.Response.Body.WriteAsync(bytes.Slice(at, piece), context.RequestAborted);
            await context.Response.Body.FlushAsync(context.RequestAborted);
            at += piece;
            if (fault.BytesPerSecond is { } rate)
            {
                await Task.Delay(TimeSpan.FromSeconds((double)piece / rate), context.RequestAborted);
            }
        }

        if (fault.StallAfterBytes is not null)
        {
            await Task.Delay(Timeout.Infinite, context.RequestAborted).ContinueWith(static _ => { }, TaskScheduler.Default);
        }
        else if (fault.ResetAfterBytes is not null)
        {
            context.Abort();
        }
    }

    private async Task PutAsync(HttpContext context, string bucket, string key, byte[] body)
    {
        if (context.Request.Headers.ContentMD5.FirstOrDefault() is { } md5 && md5 != Convert.ToBase64String(MD5.HashData(body)))
        {
            await ErrorAsync(context, 400, "BadDigest");
            return;
        }

        var version = FaultyObject.Of(body, Kept(context.Request));
        if (!store.TryPut(bucket, key, version, context.Request.Headers.IfMatch.FirstOrDefault(), context.Request.Headers.IfNoneMatch.FirstOrDefault()))
        {
            await ErrorAsync(context, 412, null);
            return;
        }

        context.Response.Headers.ETag = version.ETag;
        context.Response.Headers["x-amz-version-id"] = version.VersionId;
    }

    private FaultyObject? Source(HttpContext context)
    {
        var source = Uri.UnescapeDataString(context.Request.Headers["x-amz-copy-source"]!).TrimStart('/');
        return store.Find(source[..source.IndexOf('/')], source[(source.IndexOf('/') + 1)..]);
    }

    private async Task PartCopyAsync(HttpContext context)
    {
        var query = context.Request.Query;
        if (Source(context) is not { } found || !store.PutPart(query["uploadId"]!, int.Parse(query["partNumber"]!), found.Bytes))
        {
            await ErrorAsync(context, 404, "NoSuchKey");
            return;
        }

        await XmlAsync(context, new XElement("CopyPartResult", new XElement("ETag", found.ETag), new XElement("LastModified", found.LastModified.ToString("s") + ".000Z")));
    }

    private async Task CopyAsync(HttpContext context, string bucket, string key)
    {
        var found = Source(context);
        if (found is null)
        {
            await ErrorAsync(context, 404, "NoSuchKey");
            return;
        }

        var copy = FaultyObject.Of(found.Bytes, found.Headers);
        store.TryPut(bucket, key, copy);
        await XmlAsync(context, new XElement("CopyObjectResult", new XElement("ETag", copy.ETag), new XElement("LastModified", copy.LastModified.ToString("s") + ".000Z")));
    }

    private Task DeleteAsync(HttpContext context, string bucket, string key)
    {
        store.Delete(bucket, key);
        return NoContentAsync(context);
    }

    private async Task DeleteManyAsync(HttpContext context, string bucket, byte[] body)
    {
        // As MinIO of 2024 does.
        if (context.Request.Headers.ContentMD5.FirstOrDefault() is not { } md5 || md5 != Convert.ToBase64String(MD5.HashData(body)))
        {
            await ErrorAsync(context, 400, "MissingContentMD5");
            return;
        }

        var keys = XElement.Parse(Encoding.UTF8.GetString(body)).Descendants().Where(e => e.Name.LocalName == "Key").Select(e => e.Value).ToList();
        keys.ForEach(key => store.Delete(bucket, key));
        await XmlAsync(context, new XElement("DeleteResult", keys.Select(key => new XElement("Deleted", new XElement("Key", key)))));
    }

    private async Task PartAsync(HttpContext context, byte[] body)
    {
        var query = context.Request.Query;
        if (!store.PutPart(query["uploadId"]!, int.Parse(query["partNumber"]!), body))
        {
            await ErrorAsync(context, 404, "NoSuchUpload");
            return;
        }

        context.Response.Headers.ETag = $"\"{Convert.ToHexStringLower(MD5.HashData(body))}\"";
    }

    private async Task CompleteAsync(HttpContext context, byte[] body, Fault fault)
    {
        var numbers = XElement.Parse(Encoding.UTF8.GetString(body)).Descendants().Where(e => e.Name.LocalName == "PartNumber").Select(e => int.Parse(e.Value)).ToList();
        var whole = store.Complete(context.Request.Query["uploadId"]!, numbers);
        await (whole is null ? ErrorAsync(context, 404, "NoSuchUpload") : XmlAsync(context, new XElement("CompleteMultipartUploadResult", new XElement("ETag", fault.ETag ?? whole.ETag)), fault));
    }

    private async Task ListAsync(HttpContext context, string bucket, Fault fault)
    {
        var query = context.Request.Query;
        string Text(string name) => query[name].ToString();
        var (prefix, delimiter) = (Text("prefix"), Text("delimiter"));
        var after = new[] { Text("start-after"), Text("continuation-token"), Text("marker") }.Max(StringComparer.Ordinal)!;
        var max = Text("max-keys").Length > 0 ? int.Parse(Text("max-keys")) : 1000;
        string Name(string key) => Text("encoding-type") == "url" ? Uri.EscapeDataString(key).Replace("%2F", "/", StringComparison.Ordinal) : key;
        var items = new List<XElement>();
        var last = "";
        var truncated = false;
        foreach (var (key, found) in store.List(bucket))
        {
            var cut = delimiter.Length > 0 && key.StartsWith(prefix, StringComparison.Ordinal) ? key.IndexOf(delimiter, prefix.Length, StringComparison.Ordinal) : -1;
            var name = cut < 0 ? key : key[..(cut + delimiter.Length)];
            if (!key.StartsWith(prefix, StringComparison.Ordinal) || string.CompareOrdinal(name, after) <= 0 || name == last || string.CompareOrdinal(key, after) <= 0)
            {
                continue;
            }

            if (items.Count == max)
            {
                truncated = true;
                break;
            }

            last = name;
            items.Add(cut >= 0 ? new XElement("CommonPrefixes", new XElement("Prefix", Name(name)))
                : new XElement("Contents", new XElement("Key", Name(key)), new XElement("LastModified", found.LastModified.UtcDateTime.ToString("s") + ".000Z"), new XElement("ETag", found.ETag), new XElement("Size", found.Bytes.Length), new XElement("StorageClass", "STANDARD")));
        }

        await XmlAsync(context, new XElement("ListBucketResult", new XElement("Name", bucket), new XElement("IsTruncated", truncated ? "true" : "false"),
            Text("encoding-type") == "url" ? new XElement("EncodingType", "url") : null, truncated ? new XElement("NextContinuationToken", last) : null, truncated ? new XElement("NextMarker", Name(last)) : null, items), fault);
    }
}
