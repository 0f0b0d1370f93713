using Proxy.Cache;
using Proxy.S3.Requests;
using Proxy.Server.Forwarding;
using Proxy.Server.Hosting;
using Proxy.Server.Operations.Buckets;
using Proxy.Server.Operations.Multipart;
using Proxy.Server.Operations.Objects;
using Proxy.Server.Operations.Spanning;
using Proxy.Server.Routing;

namespace Proxy.Server.Operations;

/// <summary>Which file answers which operation, and what a credential needs for it: the contents page of this folder.</summary>
internal static class OperationCatalog
{
    public static OperationTable Build(S3Options options, ObjectCache cache, BackendRouter router, BackendForwarder forwarder)
    {
        var forwarded = new Forwarded(cache, forwarder, router);
        var list = new ListObjects();
        var tagging = new ObjectTagging(cache);
        var merged = new MergedListing(router);
        var acl = new AccessControlLists();
        var copies = new CopyAcross(cache, router, TimeProvider.System);
        return new OperationTable(
            router,
            new GetObject(cache, forwarded),
            forwarded,
            new Dictionary<S3Operation, ISpanningOperation>
            {
                [S3Operation.ListBuckets] = new MergedBuckets(router),
                [S3Operation.ListObjects] = merged,
                [S3Operation.ListObjectsV2] = merged,
                [S3Operation.ListMultipartUploads] = merged,
                [S3Operation.Other] = merged,
                [S3Operation.CopyObject] = copies,
                [S3Operation.UploadPartCopy] = copies,
                [S3Operation.DeleteObjects] = new DeletesByBackend(router),
            },
            [
                (S3Operation.ListBuckets, Access.SignedIn, new ListBuckets()),
                (S3Operation.CreateBucket, Access.Write, new CreateBucket(options)),
                (S3Operation.HeadBucket, Access.SomeOfBucket, new HeadBucket(options)),
                (S3Operation.DeleteBucket, Access.Write, new DeleteBucket()),
                (S3Operation.GetBucketLocation, Access.SomeOfBucket, new GetBucketLocation(options)),
                (S3Operation.GetBucketVersioning, Access.SomeOfBucket, new GetBucketVersioning()),
                (S3Operation.ListObjects, Access.List, list),
                (S3Operation.ListObjectsV2, Access.List, list),
                (S3Operation.ListMultipartUploads, Access.List, new ListMultipartUploads()),
                (S3Operation.DeleteObjects, Access.SomeOfBucket, new DeleteObjects(cache)),

                (S3Operation.GetObject, Access.Read, new GetObject(cache, forwarded)),
                (S3Operation.HeadObject, Access.Read, new GetObject(cache, forwarded)),
                (S3Operation.PutObject, Access.Write, new PutObject(cache)),
                (S3Operation.DeleteObject, Access.Write, new DeleteObject(cache)),
                (S3Operation.CopyObject, Access.Write, new CopyObject(cache, router)),
                (S3Operation.GetObjectTagging, Access.Read, tagging),
                (S3Operation.PutObjectTagging, Access.Write, tagging),
                (S3Operation.DeleteObjectTagging, Access.Write, tagging),
                (S3Operation.GetObjectAttributes, Access.Read, new GetObjectAttributes()),

                (S3Operation.CreateMultipartUpload, Access.Write, new CreateMultipartUpload()),
                (S3Operation.UploadPart, Access.Write, new UploadPart(cache)),
                (S3Operation.UploadPartCopy, Access.Write, new UploadPartCopy(router)),
                (S3Operation.CompleteMultipartUpload, Access.Write, new CompleteMultipartUpload(cache)),
                (S3Operation.AbortMultipartUpload, Access.Write, new AbortMultipartUpload(cache)),
                (S3Operation.ListParts, Access.Read, new ListParts()),

                // Authorized as Other: a read or a write of all that the target names.
                (S3Operation.ListObjectVersions, Access.List, new ListObjectVersions()),
                (S3Operation.GetBucketAcl, Access.Read, acl),
                (S3Operation.PutBucketAcl, Access.Write, acl),
                (S3Operation.GetObjectAcl, Access.Read, acl),
                (S3Operation.PutObjectAcl, Access.Write, acl),
            ]);
    }
}
