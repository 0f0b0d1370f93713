using Proxy.FunctionalTests.Hosting;

namespace Proxy.FunctionalTests.Operations;

public sealed class DeleteObjectTests(TestServers servers) : OperationTests(servers)
{
    [Theory, EverySetup]
    public Task Delete_ThereOrNot_Is204(Setup setup) => RunAsync(setup, async s3 =>
    {
        (await s3.PutAsync("/k", "x")).Expect(200);
        (await s3.GetAsync("/k")).Expect(200);
        var answer = (await s3.DeleteAsync("/k")).Expect(204);
        Assert.Null(answer.Header("Content-Length"));
        (await s3.GetAsync("/k")).Expect(404, "NoSuchKey");
        (await s3.DeleteAsync("/k")).Expect(204);
        (await s3.DeleteAsync("/never")).Expect(204);
        (await s3.SendAsync(new("DELETE", "/no-such-bucket-anywhere/k"))).Expect(404, "NoSuchBucket");
    });

    [Theory, EverySetup]
    public Task Delete_IfMatch_OnlyThatVersion(Setup setup) => RunAsync(setup, async s3 =>
    {
        var etag = (await s3.PutAsync("/k", "x")).Expect(200).ETag!;
        (await s3.DeleteAsync("/k", ("If-Match", "\"5d41402abc4b2a76b9719d911017c592\""))).Expect(412, "PreconditionFailed");
        Assert.Equal("x", (await s3.GetAsync("/k")).Expect(200).Text);
        (await s3.DeleteAsync("/k", ("If-Match", etag))).Expect(204);
        (await s3.GetAsync("/k")).Expect(404, "NoSuchKey");
    });

    [Theory]
    [InlineData(Setup.Local)]
    [InlineData(Setup.Chained)]
    public Task Delete_BySizeAndTime_OnlyWhatTheyDescribe(Setup setup) => RunAsync(setup, async s3 =>
    {
        (await s3.PutAsync("/k", "four")).Expect(200);
        var modified = (await s3.HeadAsync("/k")).Expect(200).Header("Last-Modified")!;
        (await s3.DeleteAsync("/k", ("x-amz-if-match-size", "5"))).Expect(412, "PreconditionFailed");
        (await s3.DeleteAsync("/k", ("x-amz-if-match-last-modified-time", "Thu, 01 Jan 2015 00:00:00 GMT"))).Expect(412, "PreconditionFailed");
        (await s3.DeleteAsync("/k", ("x-amz-if-match-size", "4"), ("x-amz-if-match-last-modified-time", "Thu, 01 Jan 2015 00:00:00 GMT"))).Expect(412, "PreconditionFailed");
        (await s3.DeleteAsync("/k", ("x-amz-if-match-size", "four"))).Expect(400, "InvalidArgument");
        (await s3.DeleteAsync("/k", ("x-amz-if-match-last-modified-time", "yesterday"))).Expect(400, "InvalidArgument");
        Assert.Equal("four", (await s3.GetAsync("/k")).Expect(200).Text);
        (await s3.DeleteAsync("/k", ("x-amz-if-match-size", "4"), ("x-amz-if-match-last-modified-time", modified))).Expect(204);
        (await s3.GetAsync("/k")).Expect(404, "NoSuchKey");
    });

    [Theory]
    [InlineData(Setup.Local)]
    [InlineData(Setup.Chained)]
    public Task Delete_ConditionOnNothing_IsDoneUnlessThereMustBeSomething(Setup setup) => RunAsync(setup, async s3 =>
    {
        (await s3.DeleteAsync("/never", ("If-Match", "\"5d41402abc4b2a76b9719d911017c592\""))).Expect(204);
        (await s3.DeleteAsync("/never", ("x-amz-if-match-size", "4"))).Expect(204);
        (await s3.DeleteAsync("/never", ("If-Match", "*"))).Expect(412, "PreconditionFailed");
        (await s3.PutAsync("/k", "x")).Expect(200);
        (await s3.DeleteAsync("/k", ("If-Match", "*"))).Expect(204);
        (await s3.GetAsync("/k")).Expect(404, "NoSuchKey");
    });

    [Theory, EverySetup]
    public Task Delete_OfAPrefix_LeavesWhatIsBelow(Setup setup) => RunAsync(setup, async s3 =>
    {
        (await s3.PutAsync("/a", "1")).Expect(200);
        (await s3.PutAsync("/a/b", "2")).Expect(200);
        (await s3.DeleteAsync("/a")).Expect(204);
        Assert.Equal("2", (await s3.GetAsync("/a/b")).Expect(200).Text);
    });
}
