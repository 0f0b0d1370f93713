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
        foreach (var name in (string[])["ab", "-start", "end-", "Upper-Case", "under_score", "a..b", "192.168.5.123", new string('a', 64)])
        {
            (await s3.SendAsync(new("PUT", $"/{name}"))).Expect(400, "InvalidBucketName");
        }
    });

    [Theory, EverySetup]
    public Task Create_Again_IsTheOwners(Setup setup) => RunAsync(setup, async s3 =>
    {
        var answer = await s3.SendAsync("PUT", "");
        Assert.True(answer.Status == 200 || answer.ErrorCode == "BucketAlreadyOwnedByYou", answer.Text);
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
