using System.Text;
using Proxy.FunctionalTests.Hosting;

namespace Proxy.FunctionalTests.Operations;

/// <summary>ListBuckets, CreateBucket, HeadBucket, DeleteBucket, GetBucketLocation, GetBucketVersioning.</summary>
public sealed class BucketTests(TestServers servers) : OperationTests(servers)
{
    [Theory, EverySetup]
    public Task List_NamesTheBucket(Setup setup) => RunAsync(setup, async s3 =>
    {
        var answer = (await s3.SendAsync(new("GET", "/"))).Expect(200);
        Assert.Equal("ListAllMyBucketsResult", answer.Xml.Name.LocalName);
        Assert.Contains(s3.Bucket, answer.Values("Bucket", "Name"));
        Assert.NotNull(answer.Value("CreationDate"));
        Assert.NotNull(answer.Value("ID"));
    });

    [Theory, EverySetup]
    public Task Create_NamesAgainstTheRules_AreRefused(Setup setup) => RunAsync(setup, async s3 =>
    {
        foreach (var name in (string[])["ab", "-start", "end-", "Upper-Case", "under_score", "a..b", "a.-b", "a-.b", "192.168.5.123", new string('a', 64)])
        {
            (await s3.SendAsync(new("PUT", $"/{name}"))).Expect(400, "InvalidBucketName");
        }
    });

    [Theory, EverySetup]
    public Task Create_Again_LeavesWhatIsThere(Setup setup) => RunAsync(setup, async s3 =>
    {
        (await s3.PutAsync("/k", "x")).Expect(200);
        (await s3.SendAsync("PUT", "")).Expect(200);
        Assert.Equal("x", (await s3.GetAsync("/k")).Expect(200).Text);
    });

    [Fact]
    public Task Create_AgainWithALocation_IsTheOwners() => RunAsync(Setup.Local, async s3 =>
        (await s3.PutAsync("", "<CreateBucketConfiguration><LocationConstraint>eu-west-1</LocationConstraint></CreateBucketConfiguration>")).Expect(409, "BucketAlreadyOwnedByYou"));

    [Fact]
    public Task Create_WithObjectLock_IsNotImplemented() => RunAsync(Setup.Local, async s3 =>
    {
        (await s3.SendAsync(new("PUT", $"/{s3.Bucket}-lock") { Headers = [new("x-amz-bucket-object-lock-enabled", "true")] })).Expect(501, "NotImplemented");
        (await s3.SendAsync(new("HEAD", $"/{s3.Bucket}-lock"))).Expect(404);
    });

    [Fact]
    public Task List_InPages_ByPrefix() => RunAsync(Setup.Local, async s3 =>
    {
        string[] names = [s3.Bucket, $"{s3.Bucket}-a", $"{s3.Bucket}-b"];
        (await s3.SendAsync(new("PUT", "/" + names[1]))).Expect(200);
        (await s3.SendAsync(new("PUT", "/" + names[2]))).Expect(200);
        var first = (await s3.SendAsync(new("GET", $"/?prefix={s3.Bucket}&max-buckets=2"))).Expect(200);
        Assert.Equal(names[..2], first.Values("Bucket", "Name"));
        var token = first.Value("ContinuationToken");
        Assert.NotNull(token);
        var last = (await s3.SendAsync(new("GET", $"/?prefix={s3.Bucket}&max-buckets=2&continuation-token={token}"))).Expect(200);
        Assert.Equal(names[2..], last.Values("Bucket", "Name"));
        Assert.Null(last.Value("ContinuationToken"));
        (await s3.SendAsync(new("GET", "/?max-buckets=0"))).Expect(400, "InvalidArgument");
        (await s3.SendAsync(new("GET", "/?continuation-token=!"))).Expect(400, "InvalidArgument");
    });

    [Theory, EverySetup]
    public Task Create_MalformedConfiguration_IsRefused(Setup setup) => RunAsync(setup, async s3 =>
        (await s3.SendAsync(new("PUT", $"/{s3.Bucket}-x") { Body = Encoding.UTF8.GetBytes("<CreateBucketConfiguration>") })).Expect(400, "MalformedXML"));

    [Theory, EverySetup]
    public Task HeadAndLocation_OfWhatIsThereAndWhatIsNot(Setup setup) => RunAsync(setup, async s3 =>
    {
        Assert.Empty((await s3.HeadAsync("")).Expect(200).Body);
        Assert.Empty((await s3.HeadAsync("/")).Expect(200).Body);
        Assert.Equal("LocationConstraint", (await s3.GetAsync("?location")).Expect(200).Xml.Name.LocalName);
        var versioning = (await s3.GetAsync("?versioning")).Expect(200);
        Assert.Equal("VersioningConfiguration", versioning.Xml.Name.LocalName);
        Assert.Null(versioning.Value("Status"));
        (await s3.SendAsync(new("HEAD", "/no-such-bucket-anywhere"))).Expect(404);
        foreach (var query in (string[])["?location", "?versioning", "", "?list-type=2", "?uploads"])
        {
            (await s3.SendAsync(new("GET", "/no-such-bucket-anywhere" + query))).Expect(404, "NoSuchBucket");
        }
    });

    [Theory, EverySetup]
    public Task Delete_OnlyWhenEmpty(Setup setup) => RunAsync(setup, async s3 =>
    {
        (await s3.PutAsync("/k", "x")).Expect(200);
        (await s3.GetAsync("/k")).Expect(200);
        (await s3.DeleteAsync("")).Expect(409, "BucketNotEmpty");
        (await s3.DeleteAsync("/k")).Expect(204);
        (await s3.DeleteAsync("")).Expect(204);
        (await s3.HeadAsync("")).Expect(404);
        (await s3.DeleteAsync("")).Expect(404, "NoSuchBucket");
        (await s3.GetAsync("/k")).Expect(404, "NoSuchBucket");
    });
}
