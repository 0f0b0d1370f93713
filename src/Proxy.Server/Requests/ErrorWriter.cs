using Proxy.S3.Errors;
using Proxy.S3.Xml;

namespace Proxy.Server.Requests;

/// <summary>Turns a refusal into S3's error document.</summary>
internal static class ErrorWriter
{
    private const string HostId = "s3-tier-proxy";

    public static async ValueTask WriteAsync(S3Request request, S3Exception refusal)
    {
        var response = request.Response;
        var requestId = response.Headers["x-amz-request-id"];
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
            response.Headers["x-minio-error-desc"] = $"\"{refusal.Message}\"";
        }

        await XmlAnswer.WriteAsync(
            request, (refusal, request), static (state, buffer) => ErrorXml.Write(buffer, state.refusal, state.refusal.Resource ?? state.request.Resource, state.request.RequestId, HostId), refusal.Code.Status);
    }
}
