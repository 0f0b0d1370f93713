namespace Proxy.Server.Requests;

/// <summary>MinIO's unsigned health paths on the S3 port: compose files and load balancers written for MinIO ask for them.</summary>
internal static class HealthProbes
{
    private const string Root = "/minio/health/";

    /// <summary>Whether only <see cref="TryAnswer"/> can tell.</summary>
    public static bool MayBe(string rawTarget) => rawTarget.StartsWith(Root, StringComparison.OrdinalIgnoreCase);

    public static bool TryAnswer(S3Request request)
    {
        var path = request.Http.Request.Path.Value; // a fixed ASCII path: the decoded form is as good as the raw one
        if (path is null || path.Length > 32 || !path.StartsWith(Root, StringComparison.Ordinal) || path[Root.Length..] is not ("live" or "ready" or "cluster"))
        {
            return false;
        }

        request.Response.StatusCode = request.Method is "GET" or "HEAD" ? StatusCodes.Status200OK : StatusCodes.Status405MethodNotAllowed;
        request.Response.ContentLength = 0;
        return true;
    }
}
