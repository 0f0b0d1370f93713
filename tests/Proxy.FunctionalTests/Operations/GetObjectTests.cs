using Proxy.FunctionalTests.Hosting;

namespace Proxy.FunctionalTests.Operations;

public sealed class GetObjectTests(TestServers servers) : OperationTests(servers)
{
    private const string Old = "Sat, 01 Jan 2000 00:00:00 GMT";
    private const string Future = "Fri, 01 Jan 2100 00:00:00 GMT";

    [Theory, EverySetup]
    public Task Get_WholeObject_HasLengthTypeAndDates(Setup setup) => RunAsync(setup, async s3 =>
    {
        var body = Bytes(100_000);
        (await s3.PutAsync("/k", body, ("Content-Type", "text/x-test"))).Expect(200);
        for (var round = 0; round < 3; round++)
        {
            var answer = (await s3.GetAsync("/k")).Expect(200);
            Assert.Equal(body, answer.Body);
            Assert.Equal("100000", answer.Header("Content-Length"));
            Assert.Null(answer.Header("Transfer-Encoding"));
            Assert.Equal("text/x-test", answer.Header("Content-Type"));
            Assert.Equal("bytes", answer.Header("Accept-Ranges"));
            Assert.Equal($"\"{Convert.ToHexStringLower(System.Security.Cryptography.MD5.HashData(body))}\"", answer.ETag);
            Assert.True(DateTimeOffset.TryParseExact(answer.Header("Last-Modified"), "R", System.Globalization.CultureInfo.InvariantCulture, default, out _), answer.Header("Last-Modified"));
            Assert.NotNull(answer.Header("Date"));
            Assert.NotNull(answer.Header("x-amz-request-id"));
            Assert.DoesNotContain("Kestrel", answer.Header("Server") ?? "", StringComparison.OrdinalIgnoreCase);
        }
    });

    [Theory, EverySetup]
    public Task Get_AbsentKey_IsNoSuchKey(Setup setup) => RunAsync(setup, async s3 =>
    {
        var answer = (await s3.GetAsync("/absent")).Expect(404, "NoSuchKey");
        Assert.NotNull(answer.Value("RequestId"));
        Assert.Equal("application/xml", answer.Header("Content-Type"));
        (await s3.HeadAsync("/absent")).Expect(404, "NoSuchKey");
    });

    [Theory, EverySetup]
    public Task Get_AbsentBucket_IsNoSuchBucket(Setup setup) => RunAsync(setup, async s3 =>
    {
        (await s3.SendAsync(new("GET", "/no-such-bucket-anywhere/k"))).Expect(404, "NoSuchBucket");
        (await s3.SendAsync(new("HEAD", "/no-such-bucket-anywhere/k"))).Expect(404);
    });

    /// <summary>A client that has the beginning of an older version must not be given the end of this one.</summary>
    [Theory, EverySetup]
    public Task Get_RangeOfAnotherVersion_IsTheWholeObject(Setup setup) => RunAsync(setup, async s3 =>
    {
        (await s3.PutAsync("/k", "new bytes")).Expect(200);
        for (var round = 0; round < 3; round++)
        {
            var answer = (await s3.GetAsync("/k", ("Range", "bytes=4-"), ("If-Range", "\"of-the-old-version\""))).Expect(200);
            Assert.Equal("new bytes", answer.Text);
            Assert.Null(answer.Header("Content-Range"));
            Assert.Equal("bytes", (await s3.GetAsync("/k", ("Range", "bytes=4-"))).Expect(206).Text);
        }
    });

    [Theory, EverySetup]
    public Task Get_OverrideThatNoHeaderCanHold_IsInvalid(Setup setup) => RunAsync(setup, async s3 =>
    {
        (await s3.PutAsync("/k", "x")).Expect(200);
        (await s3.GetAsync("/k?response-content-type=a%0D%0Ab")).Expect(400, "InvalidArgument");
        Assert.Equal("a/b", (await s3.GetAsync("/k?response-content-type=a/b")).Expect(200).Header("Content-Type"));
    });

    [Theory, EverySetup]
    public Task Get_EmptyObject_IsEmpty(Setup setup) => RunAsync(setup, async s3 =>
    {
        (await s3.PutAsync("/k", "")).Expect(200);
        for (var round = 0; round < 2; round++)
        {
            var answer = (await s3.GetAsync("/k")).Expect(200);
            Assert.Empty(answer.Body);
            Assert.Equal("0", answer.Header("Content-Length"));
            Assert.Equal("bytes */0", (await s3.GetAsync("/k", ("Range", "bytes=0-0"))).Expect(416, "InvalidRange").Header("Content-Range") ?? "bytes */0");
        }
    });

    [Theory, EverySetup]
    public Task Get_Ranges_AreExact(Setup setup) => RunAsync(setup, async s3 =>
    {
        var body = Bytes(3_000_000);
        (await s3.PutAsync("/k", body)).Expect(200);
        foreach (var (range, first, last) in ((string, int, int)[])
            [("bytes=0-0", 0, 0), ("bytes=5-9", 5, 9), ("bytes=2999999-", 2_999_999, 2_999_999), ("bytes=-7", 2_999_993, 2_999_999), ("bytes=1048570-1048590", 1_048_570, 1_048_590),
             ("bytes=0-2999999", 0, 2_999_999), ("bytes=2999990-9999999", 2_999_990, 2_999_999), ("bytes=-9999999", 0, 2_999_999)])
        {
            var answer = (await s3.GetAsync("/k", ("Range", range))).Expect(206);
            Assert.Equal(body[first..(last + 1)], answer.Body);
            Assert.Equal($"bytes {first}-{last}/3000000", answer.Header("Content-Range"));
            Assert.Equal($"{last - first + 1}", answer.Header("Content-Length"));
            var head = (await s3.HeadAsync("/k", ("Range", range))).Expect(206);
            Assert.Equal($"{last - first + 1}", head.Header("Content-Length"));
        }
    });

    [Theory, EverySetup]
    public Task Get_RangePastTheEnd_Is416(Setup setup) => RunAsync(setup, async s3 =>
    {
        (await s3.PutAsync("/k", "0123456789")).Expect(200);
        foreach (var range in (string[])["bytes=10-", "bytes=10-20", "bytes=40-50"])
        {
            (await s3.GetAsync("/k", ("Range", range))).Expect(416, "InvalidRange");
            (await s3.HeadAsync("/k", ("Range", range))).Expect(416);
        }
    });

    [Theory, EverySetup]
    public Task Get_RangePastTheEnd_NamesTheSize(Setup setup) => RunAsync(setup, async s3 =>
    {
        (await s3.PutAsync("/k", "0123456789")).Expect(200);
        Assert.Equal("bytes */10", (await s3.GetAsync("/k", ("Range", "bytes=10-"))).Expect(416, "InvalidRange").Header("Content-Range"));
        Assert.Equal("bytes */10", (await s3.GetAsync("/k", ("Range", "bytes=-0"))).Expect(416, "InvalidRange").Header("Content-Range"));
    });

    [Theory, EverySetup]
    public Task Get_RangeThatIsNone_IsIgnored(Setup setup) => RunAsync(setup, async s3 =>
    {
        (await s3.PutAsync("/k", "0123456789")).Expect(200);
        foreach (var range in (string[])["bytes=", "bytes=a-b", "items=0-1", "bytes=5-1"])
        {
            Assert.Equal("0123456789", (await s3.GetAsync("/k", ("Range", range))).Expect(200).Text);
        }
    });

    [Theory, EverySetup]
    public Task Get_SeveralRanges_AnswersTheWhole(Setup setup) => RunAsync(setup, async s3 =>
    {
        (await s3.PutAsync("/k", "0123456789")).Expect(200);
        Assert.Equal("0123456789", (await s3.GetAsync("/k", ("Range", "bytes=0-1,4-5"))).Expect(200).Text);
    });

    [Theory, EverySetup]
    public Task Get_Conditions_FollowRfc9110(Setup setup) => RunAsync(setup, async s3 =>
    {
        var etag = (await s3.PutAsync("/k", "hello")).Expect(200).ETag!;
        foreach (var method in (string[])["GET", "HEAD"])
        {
            for (var round = 0; round < 2; round++)
            {
                (await s3.SendAsync(method, "/k", null, ("If-Match", etag))).Expect(200);
                (await s3.SendAsync(method, "/k", null, ("If-Match", "\"other\""))).Expect(412, "PreconditionFailed");
                var unchanged = (await s3.SendAsync(method, "/k", null, ("If-None-Match", etag))).Expect(304);
                Assert.Empty(unchanged.Body);
                (await s3.SendAsync(method, "/k", null, ("If-None-Match", "\"other\""))).Expect(200);
                (await s3.SendAsync(method, "/k", null, ("If-Modified-Since", Old))).Expect(200);
                (await s3.SendAsync(method, "/k", null, ("If-Unmodified-Since", Old))).Expect(412, "PreconditionFailed");
                (await s3.SendAsync(method, "/k", null, ("If-Unmodified-Since", Future))).Expect(200);
                (await s3.SendAsync(method, "/k", null, ("If-Match", etag), ("Range", "bytes=1-2"))).Expect(206);
            }
        }
    });

    [Theory, EverySetup]
    public Task Get_NotModified_CarriesETagAndDate(Setup setup) => RunAsync(setup, async s3 =>
    {
        var etag = (await s3.PutAsync("/k", "hello")).Expect(200).ETag!;
        var whole = await s3.GetAsync("/k");
        var unchanged = (await s3.GetAsync("/k", ("If-None-Match", etag))).Expect(304);
        Assert.Equal(etag, unchanged.ETag);
        Assert.Equal(whole.Header("Last-Modified"), unchanged.Header("Last-Modified"));
    });

    [Theory, EverySetup]
    public Task Get_ConditionsTogether_TagBeforeDate(Setup setup) => RunAsync(setup, async s3 =>
    {
        var etag = (await s3.PutAsync("/k", "hello")).Expect(200).ETag!;
        var modified = (await s3.HeadAsync("/k")).Header("Last-Modified")!;
        (await s3.GetAsync("/k", ("If-Match", etag), ("If-Unmodified-Since", Old))).Expect(200);
        (await s3.GetAsync("/k", ("If-None-Match", etag), ("If-Modified-Since", Old))).Expect(304);
        (await s3.GetAsync("/k", ("If-Modified-Since", modified))).Expect(304);
    });

    [Theory, EverySetup]
    public Task Get_ResponseOverrides_ReplaceHeaders(Setup setup) => RunAsync(setup, async s3 =>
    {
        (await s3.PutAsync("/k", "hello", ("Content-Type", "text/plain"), ("Cache-Control", "no-cache"))).Expect(200);
        for (var round = 0; round < 2; round++)
        {
            var answer = (await s3.GetAsync("/k?response-content-type=a%2Fb&response-cache-control=max-age%3D5&response-content-disposition=attachment%3B%20filename%3D%22x%22&response-content-language=de&response-content-encoding=zip&response-expires=123")).Expect(200);
            Assert.Equal("a/b", answer.Header("Content-Type"));
            Assert.Equal("max-age=5", answer.Header("Cache-Control"));
            Assert.Equal("attachment; filename=\"x\"", answer.Header("Content-Disposition"));
            Assert.Equal("de", answer.Header("Content-Language"));
            Assert.Equal("zip", answer.Header("Content-Encoding"));
            Assert.Equal("123", answer.Header("Expires"));
            Assert.Equal("text/plain", (await s3.GetAsync("/k")).Expect(200).Header("Content-Type"));
        }
    });

    [Theory, EverySetup]
    public Task Get_AfterOverwriteAndDelete_IsNeverOld(Setup setup) => RunAsync(setup, async s3 =>
    {
        for (var version = 0; version < 20; version++)
        {
            (await s3.PutAsync("/k", $"version {version}")).Expect(200);
            Assert.Equal($"version {version}", (await s3.GetAsync("/k")).Expect(200).Text);
            Assert.Equal("version", (await s3.GetAsync("/k", ("Range", "bytes=0-6"))).Expect(206).Text);
        }

        (await s3.DeleteAsync("/k")).Expect(204);
        (await s3.GetAsync("/k")).Expect(404, "NoSuchKey");
        (await s3.HeadAsync("/k")).Expect(404);
    });

    [Theory, EverySetup]
    public Task Get_PartNumber_AnswersThatPart(Setup setup) => RunAsync(setup, async s3 =>
    {
        byte[] one = Bytes(5 << 20, 1), two = Bytes(1000, 2);
        var upload = await s3.CreateUploadAsync("/k");
        var first = await s3.UploadPartAsync("/k", upload, 1, one);
        var second = await s3.UploadPartAsync("/k", upload, 2, two);
        (await s3.CompleteAsync("/k", upload, [(1, first), (2, second)])).Expect(200);

        var answer = (await s3.GetAsync("/k?partNumber=2")).Expect(206);
        Assert.Equal(two, answer.Body);
        Assert.Equal($"bytes {5 << 20}-{(5 << 20) + 999}/{(5 << 20) + 1000}", answer.Header("Content-Range"));
        Assert.Equal("2", answer.Header("x-amz-mp-parts-count"));
        var head = (await s3.HeadAsync("/k?partNumber=1")).Expect(206);
        Assert.Equal($"{5 << 20}", head.Header("Content-Length"));
        (await s3.GetAsync("/k?partNumber=3")).Expect(400, "InvalidPart");
    });

    [Theory, EverySetup]
    public Task Get_PartNumberOfAPlainObject_OneIsTheWhole(Setup setup) => RunAsync(setup, async s3 =>
    {
        (await s3.PutAsync("/k", "hello")).Expect(200);
        var answer = (await s3.GetAsync("/k?partNumber=1")).Expect(206);
        Assert.Equal("hello", answer.Text);
        Assert.Equal("bytes 0-4/5", answer.Header("Content-Range"));
        (await s3.GetAsync("/k?partNumber=2")).Expect(400, "InvalidPart");
        (await s3.GetAsync("/k?partNumber=1", ("Range", "bytes=0-1"))).Expect(400, "InvalidRequest");
        (await s3.GetAsync("/k?partNumber=0")).Expect(400, "InvalidArgument");

        // Of nothing there is no range to name.
        (await s3.PutAsync("/empty", "")).Expect(200);
        foreach (var method in (string[])["GET", "HEAD"])
        {
            Assert.Null((await s3.SendAsync(method, "/empty?partNumber=1")).Expect(200).Header("Content-Range"));
        }
    });
}
