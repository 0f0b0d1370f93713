using Proxy.S3.Requests;

namespace Proxy.UnitTests.S3;

public sealed class OperationResolverTests
{
    [Theory]
    [InlineData("GET", "/", S3Operation.ListBuckets)]
    [InlineData("GET", "/?x-id=ListBuckets", S3Operation.ListBuckets)]
    [InlineData("HEAD", "/b/", S3Operation.HeadBucket)]
    [InlineData("PUT", "/b/", S3Operation.CreateBucket)]
    [InlineData("DELETE", "/b", S3Operation.DeleteBucket)]
    [InlineData("GET", "/b/?location=", S3Operation.GetBucketLocation)]
    [InlineData("GET", "/b/?location", S3Operation.GetBucketLocation)]
    [InlineData("GET", "/b?versioning", S3Operation.GetBucketVersioning)]
    [InlineData("GET", "/b?prefix=files%2Fx", S3Operation.ListObjects)]
    [InlineData("GET", "/b", S3Operation.ListObjects)]
    [InlineData("GET", "/b/?continuation-token=&delimiter=&encoding-type=url&fetch-owner=true&list-type=2&prefix=", S3Operation.ListObjectsV2)]
    [InlineData("GET", "/b/?list-type=3", S3Operation.Other)]
    [InlineData("GET", "/b/?list-type=2&metadata=true", S3Operation.ListObjectsV2)]
    [InlineData("GET", "/b/?list-type=2&something=true", S3Operation.Other)]
    [InlineData("GET", "/b?uploads&prefix=x", S3Operation.ListMultipartUploads)]
    [InlineData("GET", "/b?versions", S3Operation.Other)]
    [InlineData("GET", "/b?policy", S3Operation.Other)]
    [InlineData("POST", "/b?delete", S3Operation.DeleteObjects)]
    [InlineData("POST", "/b?delete=", S3Operation.DeleteObjects)]
    [InlineData("POST", "/b", S3Operation.Other)]
    [InlineData("GET", "/b/k", S3Operation.GetObject)]
    [InlineData("GET", "/b/k?x-id=GetObject", S3Operation.GetObject)]
    [InlineData("GET", "/b/k?partNumber=2&response-content-type=a%2Fb", S3Operation.GetObject)]
    [InlineData("GET", "/b/k?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=x&X-Amz-Date=x&X-Amz-Expires=1&X-Amz-SignedHeaders=host&X-Amz-Signature=0", S3Operation.GetObject)]
    [InlineData("GET", "/b/k?versionId=1", S3Operation.Other)]
    [InlineData("GET", "/b/k?acl", S3Operation.Other)]
    [InlineData("GET", "/b/k?tagging", S3Operation.GetObjectTagging)]
    [InlineData("GET", "/b/k?attributes", S3Operation.GetObjectAttributes)]
    [InlineData("GET", "/b/k?uploadId=u&max-parts=1", S3Operation.ListParts)]
    [InlineData("HEAD", "/b/k", S3Operation.HeadObject)]
    [InlineData("HEAD", "/b/k?unknown", S3Operation.Other)]
    [InlineData("PUT", "/b/k", S3Operation.PutObject)]
    [InlineData("PUT", "/b/k?x-id=PutObject", S3Operation.PutObject)]
    [InlineData("PUT", "/b/k?partNumber=1&uploadId=u", S3Operation.UploadPart)]
    [InlineData("PUT", "/b/k?partNumber=1", S3Operation.Other)]
    [InlineData("PUT", "/b/k?tagging", S3Operation.PutObjectTagging)]
    [InlineData("PUT", "/b/k?acl", S3Operation.Other)]
    [InlineData("DELETE", "/b/k", S3Operation.DeleteObject)]
    [InlineData("DELETE", "/b/k?uploadId=u", S3Operation.AbortMultipartUpload)]
    [InlineData("DELETE", "/b/k?tagging", S3Operation.DeleteObjectTagging)]
    [InlineData("DELETE", "/b/k?versionId=1", S3Operation.Other)]
    [InlineData("POST", "/b/k?uploads=", S3Operation.CreateMultipartUpload)]
    [InlineData("POST", "/b/k?uploadId=u", S3Operation.CompleteMultipartUpload)]
    [InlineData("POST", "/b/k?select&select-type=2", S3Operation.Other)]
    [InlineData("PATCH", "/b/k", S3Operation.Other)]
    [InlineData("get", "/b/k", S3Operation.Other)]
    public void Resolve_MethodAndTarget_NamesOperation(string method, string raw, S3Operation operation)
        => Assert.Equal(operation, OperationResolver.Resolve(method, S3Target.Parse(raw, null, Addressing.PathStyle), new HeaderTable()));

    [Theory]
    [InlineData("PUT", "/b/k", "x-amz-copy-source", "/a/b", S3Operation.CopyObject)]
    [InlineData("PUT", "/b/k?partNumber=1&uploadId=u", "x-amz-copy-source", "/a/b", S3Operation.UploadPartCopy)]
    [InlineData("POST", "/b", "Content-Type", "multipart/form-data; boundary=x", S3Operation.PostObject)]
    [InlineData("DELETE", "/b/k", "x-minio-force-delete", "true", S3Operation.Other)]
    [InlineData("PUT", "/b/k", "x-amz-write-offset-bytes", "5", S3Operation.Other)]
    public void Resolve_Headers_ChangeMeaning(string method, string raw, string name, string value, S3Operation operation)
        => Assert.Equal(operation, OperationResolver.Resolve(method, S3Target.Parse(raw, null, Addressing.PathStyle), new HeaderTable { [name] = value }));

    [Theory]
    [InlineData("GET", "/b?versions&prefix=x&key-marker=k&version-id-marker=null&max-keys=1&encoding-type=url&delimiter=%2F", S3Operation.ListObjectVersions)]
    [InlineData("GET", "/b?acl", S3Operation.GetBucketAcl)]
    [InlineData("PUT", "/b?acl", S3Operation.PutBucketAcl)]
    [InlineData("GET", "/b/k?acl&versionId=null", S3Operation.GetObjectAcl)]
    [InlineData("PUT", "/b/k?acl", S3Operation.PutObjectAcl)]
    [InlineData("GET", "/b/k?versionId=null&partNumber=1", S3Operation.GetObject)]
    [InlineData("HEAD", "/b/k?versionId=null", S3Operation.HeadObject)]
    [InlineData("DELETE", "/b/k?versionId=null", S3Operation.DeleteObject)]
    [InlineData("DELETE", "/b/k?versionId=null&tagging", S3Operation.DeleteObjectTagging)]
    [InlineData("DELETE", "/b/k?versionId=1", S3Operation.Other)]
    [InlineData("DELETE", "/b/k?versionId=", S3Operation.Other)]
    [InlineData("GET", "/b/k?versionId=null&legal-hold", S3Operation.Other)]
    [InlineData("PUT", "/b/k?versionId=null", S3Operation.Other)]
    [InlineData("GET", "/b?policy", S3Operation.Other)]
    public void ResolveLocal_WhatAStoreWithoutVersionsCanAnswer(string method, string raw, S3Operation operation)
    {
        var target = S3Target.Parse(raw, null, Addressing.PathStyle);
        Assert.Equal(S3Operation.Other, OperationResolver.Resolve(method, target, new HeaderTable()));
        Assert.Equal(operation, OperationResolver.ResolveLocal(method, target, new HeaderTable()));
    }

    [Theory]
    [InlineData("DELETE", "/b/k?versionId=1", true)]
    [InlineData("PUT", "/b/k?acl", true)]
    [InlineData("POST", "/b/k?restore", true)]
    [InlineData("POST", "/b/k?select", false)]
    [InlineData("POST", "/b/k?select&select-type=2&x-id=SelectObjectContent", false)]
    [InlineData("POST", "/b/k?uploadId=u&select", true)]
    [InlineData("GET", "/b/k?acl", false)]
    [InlineData("PUT", "/b?policy", false)]
    public void MayMutateKey_Other_ErrsOnTheSafeSide(string method, string raw, bool may)
        => Assert.Equal(may, OperationResolver.MayMutateKey(method, S3Target.Parse(raw, null, Addressing.PathStyle)));
}
