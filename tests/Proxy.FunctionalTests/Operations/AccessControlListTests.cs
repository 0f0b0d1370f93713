using Proxy.FunctionalTests.Hosting;

namespace Proxy.FunctionalTests.Operations;

/// <summary>What clients that know of ACLs may ask of a store that has one owner and nothing public.</summary>
public sealed class AccessControlListTests(TestServers servers) : OperationTests(servers)
{
    [Theory, EverySetup]
    public Task Get_OfBucketAndObject_IsTheOwnersAlone(Setup setup) => RunAsync(setup, async s3 =>
    {
        (await s3.PutAsync("/k", "x")).Expect(200);
        foreach (var path in (string[])["?acl", "/k?acl"])
        {
            var acl = (await s3.GetAsync(path)).Expect(200);
            Assert.Equal("AccessControlPolicy", acl.Xml.Name.LocalName);
            Assert.Equal(["FULL_CONTROL"], acl.Values("Permission"));
            Assert.Equal(acl.Values("Owner", "ID"), acl.Values("Grantee", "ID"));
        }

        (await s3.GetAsync("/absent?acl")).Expect(404, "NoSuchKey");
        (await s3.SendAsync(new("GET", "/no-such-bucket-anywhere?acl"))).Expect(404, "NoSuchBucket");
    });

    [Theory, EverySetup]
    public Task Put_Private_IsSoAnyway(Setup setup) => RunAsync(setup, async s3 =>
    {
        (await s3.PutAsync("/k", "x", ("x-amz-acl", "private"))).Expect(200);
        (await s3.PutAsync("/k?acl", "", ("x-amz-acl", "private"))).Expect(200);
        (await s3.PutAsync("?acl", "", ("x-amz-acl", "private"))).Expect(200);
        Assert.Equal("x", (await s3.GetAsync("/k")).Expect(200).Text);
    });

    [Fact]
    public Task Put_WhatWouldBePublic_IsNotImplemented() => RunAsync(Setup.Local, async s3 =>
    {
        (await s3.PutAsync("/k", "x")).Expect(200);
        foreach (var path in (string[])["?acl", "/k?acl"])
        {
            (await s3.PutAsync(path, "", ("x-amz-acl", "public-read"))).Expect(501, "NotImplemented");
            (await s3.PutAsync(path, "<AccessControlPolicy/>")).Expect(501, "NotImplemented");
            (await s3.PutAsync(path, "", ("x-amz-acl", "public-ready"))).Expect(400, "InvalidArgument");
        }

        (await s3.SendAsync(new Wire.WireRequest("GET", $"/{s3.Bucket}/k") { Signing = Wire.Signing.None })).Expect(403, "AccessDenied");
    });
}
