using Proxy.Backends.Remote;
using Proxy.S3.Errors;
using Proxy.S3.Requests;
using Proxy.Server.Requests;
using Proxy.Server.Routing;

namespace Proxy.Server.Operations;

/// <summary>What is never carried to a backend, because there it would mean more than S3, or something else than was allowed.</summary>
internal static class ForwardRefusals
{
    /// <summary>OSS's, COS's and others' names for the source of a copy: their stores may read them beside S3's, and we do not.</summary>
    public static void RefuseOtherSources(S3Request request)
    {
        var other = new OtherSource();
        request.Headers.VisitNames(ref other);
        if (other.Name is { } name)
        {
            throw new S3Exception(S3ErrorCode.NotImplemented, request.Resource) { Details = [new("Header", name)] };
        }
    }

    /// <summary>To be asked before anything of a client's is written or carried to a backend.</summary>
    /// <exception cref="S3Exception">AccessDenied 403 where the store would take it for management.</exception>
    public static void RefuseManagement(S3Request request)
    {
        var target = request.Target;
        if (request.Backend is not RemoteS3Backend backend)
        {
            return;
        }

        // Of the service itself S3 is only asked for buckets; users, roles and tokens are what MinIO's and Ceph's POST to it is about.
        var isManagement = target.HasBucket
            ? backend.Remote.Endpoints[0].MeansManagement(backend.Physical(target.Bucket), target.Key)
            : request.Method is not ("GET" or "HEAD" or "OPTIONS");
        if (isManagement)
        {
            throw RemoteBackend.ManagementRefusal(request.Resource);
        }
    }

    private struct OtherSource : IHeaderNameVisitor
    {
        public string? Name { get; private set; }

        public bool Visit(string name)
        {
            if (name.EndsWith("-copy-source", StringComparison.OrdinalIgnoreCase) && !name.Equals("x-amz-copy-source", StringComparison.OrdinalIgnoreCase))
            {
                Name = name;
            }

            return Name is null;
        }
    }
}
