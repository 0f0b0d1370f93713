using System.Security.Cryptography;
using Proxy.S3.Auth;
using Proxy.S3.Errors;
using Proxy.S3.Requests;
using Proxy.S3.Xml;
using Proxy.Server.Requests;
using Proxy.Server.Routing;

namespace Proxy.Server.Operations.Spanning;

/// <summary>DeleteObjects of a bucket whose prefixes live in different backends: goes where its keys are, when that is one place.</summary>
/// <remarks>A backend that does not hold a key says it deleted it, so keys of several backends in one request are refused rather than half done.</remarks>
internal sealed class DeletesByBackend(BackendRouter router) : ISpanningOperation
{
    public async ValueTask<bool> TryAnswerAsync(S3Request request)
    {
        var model = router.Model;
        if (!model.HasPrefixRoutes)
        {
            return false;
        }

        var document = await RequestXml.ReadAsync(request, S3Limits.MaxDeleteXmlBytes);
        Backend? all = null;
        foreach (var entry in DeleteXml.Read(document).Objects)
        {
            var backend = model.Resolve(request.Target.BucketSpan, entry.Key);
            if (all is not null && !(all.IsSameStore(backend) && all.Physical(request.Target.Bucket) == backend.Physical(request.Target.Bucket)))
            {
                throw new S3Exception(S3ErrorCode.NotImplemented, request.Resource, "The keys lie in several backends: delete those of each route's prefix with a request of their own.");
            }

            if (model.IsHidden(backend, request.Target.Bucket))
            {
                throw new S3Exception(S3ErrorCode.NoSuchBucket, $"/{request.Target.Bucket}/{entry.Key}"); // as for every other request of such a key
            }

            all ??= backend;
        }

        // Whoever answers reads the document again: verified here, it is a plain body from now on.
        request.Backend = all ?? request.Backend;
        request.Auth = new AuthenticatedRequest { Credential = request.Auth.Credential, Payload = PayloadMode.Unsigned };
        var http = request.Http.Request;
        http.Body = new MemoryStream(document.ToArray(), writable: false);
        http.ContentLength = document.Length;
        http.Headers.Remove("Transfer-Encoding");
        if (http.Headers.Remove("x-amz-trailer"))
        {
            // The checksum has gone with its trailer, and so does what promises it; every store wants some digest of this document.
            http.Headers.Remove("x-amz-sdk-checksum-algorithm");
            http.Headers.ContentMD5 = Convert.ToBase64String(MD5.HashData(document.Span));
        }

        http.Headers.Remove("x-amz-decoded-content-length");
        http.Headers.Remove("Content-Encoding");
        return false;
    }
}
