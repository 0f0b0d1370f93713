using Proxy.S3.Errors;

namespace Proxy.Server.Requests;

/// <summary>The question a browser asks before a request across origins. The local store keeps no CORS rules, so the answer is S3's for a bucket without any.</summary>
internal static class Preflight
{
    public static S3Exception Refusal(S3Request request)
    {
        if (request.Header("origin") is not { Length: > 0 })
        {
            return new S3Exception(S3ErrorCode.BadRequest, request.Resource, "Insufficient information. Origin request header needed.");
        }

        return request.Header("access-control-request-method") is { Length: > 0 } method
            ? new S3Exception(S3ErrorCode.AccessForbidden, request.Resource) { Details = [new("Method", method), new("ResourceType", request.Target.HasKey ? "OBJECT" : "BUCKET")] }
            : new S3Exception(S3ErrorCode.BadRequest, request.Resource, "Invalid Access-Control-Request-Method: null");
    }
}
