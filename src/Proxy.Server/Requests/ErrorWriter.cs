using Proxy.S3.Errors;
using Proxy.S3.Xml;

namespace Proxy.Server.Requests;

/// <summary>Turns a refusal into S3's error document.</summary>
internal static class ErrorWriter
{
    private const string HostId = "s3-tier-proxy";

    public static async ValueTask WriteAsync(S3Request request, S3Exception refusal)
    {
        refusal = InTheClientsWords(request, refusal);
        if (request.IsKeptWaiting)
        {
            await WriteDocumentAsync(request, refusal); // under the 200 that has gone out, as S3 does
            return;
        }

        var response = request.Response;
        string? told = response.Headers["x-amz-request-id"];
        var requestId = string.IsNullOrEmpty(told) ? request.RequestId : told; // it is gone where a backend's answer was taken back
        response.Clear();
        response.StatusCode = refusal.Code.Status;
        response.Headers["x-amz-request-id"] = requestId;
        response.Headers["x-amz-id-2"] = HostId;
        foreach (var (name, value) in refusal.Headers)
        {
            response.Headers[name] = value;
        }

        if (refusal.Code.Status == StatusCodes.Status304NotModified)
        {
            return; // a 304 has no body and no content headers
        }

        if (refusal.Code.Status == StatusCodes.Status503ServiceUnavailable && !response.Headers.ContainsKey("Retry-After"))
        {
            response.Headers.RetryAfter = "1";
        }

        if (request.Method == "HEAD")
        {
            // minio-go reads these from an error without a body.
            response.Headers["x-minio-error-code"] = refusal.Code.Name;
            response.Headers["x-minio-error-desc"] = $"\"{OnOneLine(refusal.Message)}\"";
        }

        await WriteDocumentAsync(request, refusal);
    }

    private static ValueTask WriteDocumentAsync(S3Request request, S3Exception refusal) => XmlAnswer.WriteAsync(
        request, (refusal, request), static (state, buffer) => ErrorXml.Write(buffer, state.refusal, state.refusal.Resource ?? state.request.Resource, state.request.RequestId, HostId), refusal.Code.Status);

    /// <summary>A message may quote what the client sent, and Kestrel takes no control character in a header.</summary>
    private static string OnOneLine(string message)
        => message.Any(char.IsControl) ? string.Create(message.Length, message, static (line, text) =>
        {
            for (var i = 0; i < line.Length; i++)
            {
                line[i] = char.IsControl(text[i]) ? ' ' : text[i];
            }
        }) : message;

    /// <summary>A store knows a renamed bucket by a name of its own. The client hears of no bucket that it did not name.</summary>
    private static S3Exception InTheClientsWords(S3Request request, S3Exception refusal)
    {
        if (!request.Target.HasBucket)
        {
            return refusal;
        }

        var resource = refusal.Resource is { } named && !IsNamed(request, named.AsSpan().TrimStart('/')) ? request.Resource : refusal.Resource;
        var bucket = refusal.Details.FirstOrDefault(detail => detail.Key == "BucketName").Value;
        if (resource == refusal.Resource && (bucket is null || IsNamed(request, bucket)))
        {
            return refusal;
        }

        return new S3Exception(refusal.Code, resource, refusal.Message, refusal)
        {
            Headers = refusal.Headers,
            Details = [.. refusal.Details.Select(detail => detail.Key == "BucketName" && !IsNamed(request, detail.Value) ? new(detail.Key, request.Target.Bucket) : detail)],
        };
    }

    /// <param name="resource">A bucket, and perhaps a key behind a slash.</param>
    private static bool IsNamed(S3Request request, ReadOnlySpan<char> resource)
    {
        var bucket = resource.IndexOf('/') is var slash and >= 0 ? resource[..slash] : resource;
        return bucket.SequenceEqual(request.Target.BucketSpan)
            || (request.Header("x-amz-copy-source") is { } source && Uri.UnescapeDataString(source).AsSpan().TrimStart('/') is var copied
                && copied.StartsWith(bucket, StringComparison.Ordinal) && copied[bucket.Length..].StartsWith("/", StringComparison.Ordinal));
    }
}
