using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Proxy.FunctionalTests.Hosting;
using Proxy.FunctionalTests.Operations.Wire;

namespace Proxy.FunctionalTests.Operations;

public sealed class PutObjectTests(TestServers servers) : OperationTests(servers)
{
    [Theory, EverySetup]
    public Task Put_Headers_ComeBackOnGetAndHead(Setup setup) => RunAsync(setup, async s3 =>
    {
        (string, string)[] sent =
        [
            ("Content-Type", "text/html; charset=utf-8"), ("Cache-Control", "max-age=60"), ("Content-Disposition", "attachment; filename=\"a.txt\""), ("Content-Encoding", "gzip"),
            ("Content-Language", "de"), ("Expires", "Thu, 01 Dec 2050 16:00:00 GMT"), ("x-amz-meta-one", "1"), ("x-amz-meta-Two-Words", "two words"),
        ];
        (await s3.PutAsync("/k", "hello", sent)).Expect(200);
        foreach (var answer in (Answer[])[await s3.HeadAsync("/k"), await s3.GetAsync("/k"), await s3.GetAsync("/k"), await s3.GetAsync("/k", ("Range", "bytes=0-1"))])
        {
            foreach (var (name, value) in sent)
            {
                Assert.Equal(value, answer.Header(name));
            }
        }

        // An overwrite takes nothing over from what was there before.
        (await s3.PutAsync("/k", "again")).Expect(200);
        var plain = (await s3.GetAsync("/k")).Expect(200);
        Assert.Null(plain.Header("x-amz-meta-one"));
        Assert.Null(plain.Header("Cache-Control"));
    });

    /// <summary>No answer could carry it back: a header's name is a token (RFC 9110, 5.6.2), and the value that could not be a header's is refused with it.</summary>
    [Theory]
    [InlineData(Setup.Local)]
    [InlineData(Setup.Chained)]
    public Task Put_MetadataThatIsNoHeader_IsRefused(Setup setup) => RunAsync(setup, async s3 =>
    {
        foreach (var query in (string[])["x-amz-meta-a@b=1", "x-amz-meta-a(b)=1", "x-amz-meta-a[]=1", "x-amz-meta-a=%01", "x-amz-meta-a=%7F"])
        {
            (await s3.SendAsync(new WireRequest("PUT", $"/{s3.Bucket}/k?{query}") { Signing = Signing.Presigned, Body = "x"u8.ToArray() })).Expect(400, "InvalidRequest");
        }

        (await s3.PutAsync("/k", "x", ("x-amz-meta-a@b", "1"))).Expect(400, "InvalidRequest");
        (await s3.SendAsync("POST", "/k?uploads", [], ("x-amz-meta-a@b", "1"))).Expect(400, "InvalidRequest");
        (await s3.GetAsync("/k")).Expect(404, "NoSuchKey");

        // Control: whatever a token may hold, and a value beyond ASCII.
        (await s3.SendAsync(new WireRequest("PUT", $"/{s3.Bucket}/k?x-amz-meta-a!$^_.~b=%C3%A9%20%E6%97%A5") { Signing = Signing.Presigned, Body = "x"u8.ToArray() })).Expect(200);
        for (var round = 0; round < 2; round++)
        {
            Assert.Equal("\u00e9 \u65e5", (await s3.GetAsync("/k")).Expect(200).Header("x-amz-meta-a!$^_.~b"));
            Assert.Equal("\u00e9 \u65e5", (await s3.HeadAsync("/k")).Expect(200).Header("x-amz-meta-a!$^_.~b"));
        }
    });

    [Theory, EverySetup]
    public Task Put_ContentTypeNotSaid_IsBinary(Setup setup) => RunAsync(setup, async s3 =>
    {
        (await s3.PutAsync("/k", "hello")).Expect(200);
        Assert.Equal("binary/octet-stream", (await s3.HeadAsync("/k")).Expect(200).Header("Content-Type"));
    });

    [Fact]
    public Task Put_ContentTypeEmpty_IsBinary() => RunAsync(Setup.Local, async s3 =>
    {
        (await s3.PutAsync("/k", "hello", ("Content-Type", ""))).Expect(200);
        Assert.Equal("binary/octet-stream", (await s3.HeadAsync("/k")).Expect(200).Header("Content-Type"));
    });

    [Theory, EverySetup]
    public Task Put_EmptyMetadata_ComesBackEmpty(Setup setup) => RunAsync(setup, async s3 =>
    {
        (await s3.PutAsync("/k", "hello", ("x-amz-meta-empty", ""), ("x-amz-meta-one", "1"))).Expect(200);
        foreach (var method in (string[])["GET", "HEAD", "GET"])
        {
            var answer = (await s3.SendAsync(method, "/k")).Expect(200);
            Assert.Equal("", answer.Header("x-amz-meta-empty"));
            Assert.Equal("1", answer.Header("x-amz-meta-one"));
        }
    });

    [Theory, EverySetup]
    public Task Put_MetadataBeyondAscii_ComesBackReadable(Setup setup) => RunAsync(setup, async s3 =>
    {
        (await s3.PutAsync("/k", "hello", ("x-amz-meta-name", "Hällo 日本"))).Expect(200);
        var value = (await s3.HeadAsync("/k")).Expect(200).Header("x-amz-meta-name")!;
        Assert.Contains(value, (string[])["Hällo 日本", $"=?UTF-8?B?{Convert.ToBase64String(Encoding.UTF8.GetBytes("Hällo 日本"))}?=", "=?UTF-8?Q?H=C3=A4llo_=E6=97=A5=E6=9C=AC?="]);

        // What a client has encoded itself stays as it is.
        (await s3.PutAsync("/k", "hello", ("x-amz-meta-name", "=?UTF-8?Q?H=C3=A4llo?="))).Expect(200);
        Assert.Equal("=?UTF-8?Q?H=C3=A4llo?=", (await s3.HeadAsync("/k")).Expect(200).Header("x-amz-meta-name"));
    });

    [Theory, EverySetup]
    public Task Put_MetadataOver2KiB_IsRefused(Setup setup) => RunAsync(setup, async s3 =>
    {
        (await s3.PutAsync("/k", "hello", ("x-amz-meta-a", new string('x', 2047)))).Expect(200);
        (await s3.PutAsync("/k2", "hello", ("x-amz-meta-a", new string('x', 2048)))).Expect(400, "MetadataTooLarge");
        (await s3.HeadAsync("/k2")).Expect(404);
    });

    [Theory, EverySetup]
    public Task Put_ETag_IsTheMd5(Setup setup) => RunAsync(setup, async s3 =>
    {
        foreach (var length in (int[])[0, 1, 65_535, 65_536, 65_537, 1 << 20, 5_000_000])
        {
            var body = Bytes(length, length);
            var answer = (await s3.PutAsync("/k", body)).Expect(200);
            Assert.Equal($"\"{Convert.ToHexStringLower(MD5.HashData(body))}\"", answer.ETag);
            Assert.Empty(answer.Body);
            Assert.Equal(body, (await s3.GetAsync("/k")).Expect(200).Body);
        }
    });

    [Theory, EverySetup]
    public Task Put_ContentMd5_IsHeld(Setup setup) => RunAsync(setup, async s3 =>
    {
        (await s3.PutAsync("/k", "old", ("Content-MD5", Convert.ToBase64String(MD5.HashData("old"u8))))).Expect(200);
        (await s3.PutAsync("/k", "new", ("Content-MD5", Convert.ToBase64String(MD5.HashData("old"u8))))).Expect(400, "BadDigest");
        (await s3.PutAsync("/k", "new", ("Content-MD5", "bm9uZQ=="))).Expect(400, "InvalidDigest");
        (await s3.PutAsync("/k", "new", ("Content-MD5", "x"))).Expect(400, "InvalidDigest");
        Assert.Equal("old", (await s3.GetAsync("/k")).Expect(200).Text);
    });

    [Theory, EverySetup]
    public Task Put_IfNoneMatchStar_OnlyWhenAbsent(Setup setup) => RunAsync(setup, async s3 =>
    {
        (await s3.PutAsync("/k", "one", ("If-None-Match", "*"))).Expect(200);
        (await s3.PutAsync("/k", "two", ("If-None-Match", "*"))).Expect(412, "PreconditionFailed");
        Assert.Equal("one", (await s3.GetAsync("/k")).Expect(200).Text);
        (await s3.DeleteAsync("/k")).Expect(204);
        (await s3.PutAsync("/k", "three", ("If-None-Match", "*"))).Expect(200);
    });

    [Theory]
    [InlineData(Setup.Local)]
    [InlineData(Setup.Chained)]
    public Task Put_IfNoneMatchOfATag_AnyOtherVersion(Setup setup) => RunAsync(setup, async s3 =>
    {
        var etag = (await s3.PutAsync("/k", "one", ("If-None-Match", "\"5d41402abc4b2a76b9719d911017c592\""))).Expect(200).ETag!;
        (await s3.PutAsync("/k", "two", ("If-None-Match", etag))).Expect(412, "PreconditionFailed");
        Assert.Equal("one", (await s3.GetAsync("/k")).Expect(200).Text);
        (await s3.PutAsync("/k", "two", ("If-None-Match", "\"5d41402abc4b2a76b9719d911017c592\""))).Expect(200);
        Assert.Equal("two", (await s3.GetAsync("/k")).Expect(200).Text);
    });

    [Theory]
    [InlineData("x-amz-meta-a")]
    [InlineData("Cache-Control")]
    [InlineData("Content-Type")]
    public Task Put_ControlCharacterInAHeaderToBeKept_IsRefused(string name) => RunAsync(Setup.Local, async s3 =>
    {
        (await s3.PutAsync("/k", "x", (name, "a\u0004b"))).Expect(400);
        (await s3.HeadAsync("/k")).Expect(404);
        (await s3.PutAsync("/k", "x", (name, "a\tb"))).Expect(200);
        Assert.Equal("a\tb", (await s3.HeadAsync("/k")).Expect(200).Header(name));
    });

    [Theory, EverySetup]
    public Task Put_IfMatch_OnlyThatVersion(Setup setup) => RunAsync(setup, async s3 =>
    {
        var etag = (await s3.PutAsync("/k", "one")).Expect(200).ETag!;
        (await s3.PutAsync("/k", "two", ("If-Match", "\"5d41402abc4b2a76b9719d911017c592\""))).Expect(412, "PreconditionFailed");
        Assert.Equal("one", (await s3.GetAsync("/k")).Expect(200).Text);
        (await s3.PutAsync("/k", "two", ("If-Match", etag))).Expect(200);
        Assert.Equal("two", (await s3.GetAsync("/k")).Expect(200).Text);
        (await s3.PutAsync("/absent", "x", ("If-Match", etag))).Expect(404, "NoSuchKey");
    });

    [Theory, EverySetup]
    public Task Put_AbsentBucket_IsNoSuchBucket(Setup setup) => RunAsync(setup, async s3 =>
        (await s3.SendAsync(new("PUT", "/no-such-bucket-anywhere/k") { Body = "x"u8.ToArray() })).Expect(404, "NoSuchBucket"));

    [Theory, EverySetup]
    public Task Put_WithoutLength_Is411(Setup setup) => RunAsync(setup, async s3 =>
        (await s3.SendAsync(new("PUT", $"/{s3.Bucket}/k") { WithoutLength = true })).Expect(411, "MissingContentLength"));

    [Theory, EverySetup]
    public Task Put_StorageClass_IsAcceptedOrRefused(Setup setup) => RunAsync(setup, async s3 =>
    {
        (await s3.PutAsync("/k", "x", ("x-amz-storage-class", "STANDARD"))).Expect(200);
        Assert.Contains((await s3.HeadAsync("/k")).Expect(200).Header("x-amz-storage-class"), (string?[])[null, "STANDARD"]);
        (await s3.PutAsync("/k", "x", ("x-amz-storage-class", "NO_SUCH_CLASS"))).Expect(400, "InvalidStorageClass");
    });

    [Theory, EverySetup]
    public Task Put_Over5GiB_IsRefusedBeforeItsBody(Setup setup) => RunAsync(setup, async s3 =>
    {
        var length = (5L << 30) + 1;
        var request = new WireRequest("PUT", $"/{s3.Bucket}/k") { WithoutLength = true, PayloadHash = "UNSIGNED-PAYLOAD", UnsignedHeaders = [new("Content-Length", length.ToString(CultureInfo.InvariantCulture))] };
        (await s3.SendAsync(request)).Expect(400, "EntityTooLarge");
    });

    [Theory, EverySetup]
    public Task Put_TagsInHeader_AreCountedAndKept(Setup setup) => RunAsync(setup, async s3 =>
    {
        (await s3.PutAsync("/k", "x", ("x-amz-tagging", "a=1&b=two%20words"))).Expect(200);
        Assert.Equal("2", (await s3.HeadAsync("/k")).Expect(200).Header("x-amz-tagging-count"));
        Assert.Equal(["a", "b"], (await s3.GetAsync("/k?tagging")).Expect(200).Values("Tag", "Key"));
        (await s3.PutAsync("/k", "x", ("x-amz-tagging", "b=2&a"))).Expect(200);
        Assert.Equal(["a", "b"], (await s3.GetAsync("/k?tagging")).Expect(200).Values("Tag", "Key"));
        (await s3.PutAsync("/k", "y", ("x-amz-tagging", string.Join('&', Enumerable.Range(0, 11).Select(i => $"k{i}=v"))))).Expect(400);
        Assert.Equal("x", (await s3.GetAsync("/k")).Expect(200).Text);
    });
}
