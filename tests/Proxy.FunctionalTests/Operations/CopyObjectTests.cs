using Proxy.FunctionalTests.Hosting;

namespace Proxy.FunctionalTests.Operations;

public sealed class CopyObjectTests(TestServers servers) : OperationTests(servers)
{
    [Theory, EverySetup]
    public Task Copy_TakesBodyAndMetadata(Setup setup) => RunAsync(setup, async s3 =>
    {
        var body = Bytes(200_000);
        var etag = (await s3.PutAsync("/from%20%2B%C3%A4", body, ("Content-Type", "text/x-a"), ("x-amz-meta-one", "1"), ("Cache-Control", "no-cache"))).Expect(200).ETag;
        (await s3.PutAsync("/to", "old")).Expect(200);
        (await s3.GetAsync("/to")).Expect(200);
        var answer = (await s3.PutAsync("/to", "", ("x-amz-copy-source", $"/{s3.Bucket}/from%20%2B%C3%A4"))).Expect(200);
        Assert.Equal("CopyObjectResult", answer.Xml.Name.LocalName);
        Assert.Equal(etag!.Trim('"'), answer.Value("ETag")!.Trim('"'));
        Assert.NotNull(answer.Value("LastModified"));
        var copy = (await s3.GetAsync("/to")).Expect(200);
        Assert.Equal(body, copy.Body);
        Assert.Equal("text/x-a", copy.Header("Content-Type"));
        Assert.Equal("1", copy.Header("x-amz-meta-one"));
        Assert.Equal("no-cache", copy.Header("Cache-Control"));
    });

    /// <summary>Some clients encode the whole value, the first slash too.</summary>
    [Theory]
    [InlineData(Setup.Local)]
    [InlineData(Setup.Chained)]
    public Task Copy_SourceWhollyEncoded_IsTheSame(Setup setup) => RunAsync(setup, async s3 =>
    {
        (await s3.PutAsync("/a/from+%2B", "body")).Expect(200);
        foreach (var source in (string[])[$"%2F{s3.Bucket}%2Fa%2Ffrom+%2B", $"%2f{s3.Bucket}/a/from+%2B", $"{s3.Bucket}%2Fa%2Ffrom%2B%2B"])
        {
            (await s3.PutAsync("/to", "", ("x-amz-copy-source", source))).Expect(200);
            Assert.Equal("body", (await s3.GetAsync("/to")).Expect(200).Text);
            (await s3.DeleteAsync("/to")).Expect(204);
        }

        // One slash and no more.
        (await s3.PutAsync("/to", "", ("x-amz-copy-source", $"%2F%2F{s3.Bucket}/a/from+%2B"))).Expect(400, "InvalidArgument");
        (await s3.PutAsync("/to", "", ("x-amz-copy-source", $"/%2F{s3.Bucket}/a/from+%2B"))).Expect(400, "InvalidArgument");
    });

    [Theory, EverySetup]
    public Task Copy_Replace_TakesTheRequestsMetadata(Setup setup) => RunAsync(setup, async s3 =>
    {
        (await s3.PutAsync("/from", "body", ("Content-Type", "text/x-a"), ("x-amz-meta-one", "1"))).Expect(200);
        (await s3.PutAsync("/to", "", ("x-amz-copy-source", $"{s3.Bucket}/from"), ("x-amz-metadata-directive", "REPLACE"), ("Content-Type", "text/x-b"), ("x-amz-meta-two", "2"))).Expect(200);
        var copy = (await s3.GetAsync("/to")).Expect(200);
        Assert.Equal("body", copy.Text);
        Assert.Equal("text/x-b", copy.Header("Content-Type"));
        Assert.Null(copy.Header("x-amz-meta-one"));
        Assert.Equal("2", copy.Header("x-amz-meta-two"));
    });

    [Theory, EverySetup]
    public Task Copy_OntoItself_NeedsAChange(Setup setup) => RunAsync(setup, async s3 =>
    {
        (await s3.PutAsync("/k", "body")).Expect(200);
        (await s3.PutAsync("/k", "", ("x-amz-copy-source", $"{s3.Bucket}/k"))).Expect(400, "InvalidRequest");
        (await s3.PutAsync("/k", "", ("x-amz-copy-source", $"{s3.Bucket}/k"), ("x-amz-metadata-directive", "REPLACE"), ("x-amz-meta-a", "b"))).Expect(200);
        var copy = (await s3.GetAsync("/k")).Expect(200);
        Assert.Equal("body", copy.Text);
        Assert.Equal("b", copy.Header("x-amz-meta-a"));
    });

    [Theory]
    [InlineData(Setup.Local)]
    [InlineData(Setup.Chained)]
    public Task Copy_StorageClass_IsTheCopys(Setup setup) => RunAsync(setup, async s3 =>
    {
        (await s3.PutAsync("/k", "body", ("x-amz-meta-a", "b"))).Expect(200);
        (await s3.PutAsync("/to", "", ("x-amz-copy-source", $"{s3.Bucket}/k"), ("x-amz-storage-class", "REDUCED_REDUNDANCY"))).Expect(200);
        (await s3.PutAsync("/k", "", ("x-amz-copy-source", $"{s3.Bucket}/k"), ("x-amz-storage-class", "REDUCED_REDUNDANCY"))).Expect(200);
        foreach (var path in (string[])["/to", "/k"])
        {
            var copy = (await s3.GetAsync(path)).Expect(200);
            Assert.Equal("REDUCED_REDUNDANCY", copy.Header("x-amz-storage-class"));
            Assert.Equal("b", copy.Header("x-amz-meta-a"));
            Assert.Equal("body", copy.Text);
        }
    });

    [Theory, EverySetup]
    public Task Copy_FromNowhere_IsNotFound(Setup setup) => RunAsync(setup, async s3 =>
    {
        (await s3.PutAsync("/to", "", ("x-amz-copy-source", $"{s3.Bucket}/absent"))).Expect(404, "NoSuchKey");
        (await s3.PutAsync("/to", "", ("x-amz-copy-source", "no-such-bucket-anywhere/k"))).Expect(404, "NoSuchBucket");
        (await s3.HeadAsync("/to")).Expect(404);
    });

    [Theory, EverySetup]
    public Task Copy_SourceThatIsNone_IsRefused(Setup setup) => RunAsync(setup, async s3 =>
        (await s3.PutAsync("/to", "", ("x-amz-copy-source", "nothing"))).Expect(400, "InvalidArgument"));

    [Theory, EverySetup]
    public Task Copy_SourceIfMatch_IsHeld(Setup setup) => RunAsync(setup, async s3 =>
    {
        var etag = (await s3.PutAsync("/from", "body")).Expect(200).ETag!;
        (await s3.PutAsync("/to", "", ("x-amz-copy-source", $"{s3.Bucket}/from"), ("x-amz-copy-source-if-match", etag))).Expect(200);
        (await s3.PutAsync("/to2", "", ("x-amz-copy-source", $"{s3.Bucket}/from"), ("x-amz-copy-source-if-match", "\"5d41402abc4b2a76b9719d911017c592\""))).Expect(412, "PreconditionFailed");
        (await s3.PutAsync("/to2", "", ("x-amz-copy-source", $"{s3.Bucket}/from"), ("x-amz-copy-source-if-none-match", etag))).Expect(412, "PreconditionFailed");
        (await s3.PutAsync("/to2", "", ("x-amz-copy-source", $"{s3.Bucket}/from"), ("x-amz-copy-source-if-unmodified-since", "Sat, 01 Jan 2000 00:00:00 GMT"))).Expect(412, "PreconditionFailed");
        (await s3.PutAsync("/to2", "", ("x-amz-copy-source", $"{s3.Bucket}/from"), ("x-amz-copy-source-if-modified-since", "Sat, 01 Jan 2000 00:00:00 GMT"))).Expect(200);
    });

    [Theory, EverySetup]
    public Task Copy_OfEmptyAndLarge_IsWhole(Setup setup) => RunAsync(setup, async s3 =>
    {
        foreach (var length in (int[])[0, 8_000_000])
        {
            var body = Bytes(length);
            (await s3.PutAsync("/from", body)).Expect(200);
            (await s3.PutAsync("/to", "", ("x-amz-copy-source", $"{s3.Bucket}/from"))).Expect(200);
            (await s3.DeleteAsync("/from")).Expect(204);
            Assert.Equal(body, (await s3.GetAsync("/to")).Expect(200).Body);
        }
    });

    [Theory, EverySetup]
    public Task Copy_TagsAndDirective_AreHeld(Setup setup) => RunAsync(setup, async s3 =>
    {
        (await s3.PutAsync("/from", "body", ("x-amz-tagging", "a=1"))).Expect(200);
        (await s3.PutAsync("/kept", "", ("x-amz-copy-source", $"{s3.Bucket}/from"))).Expect(200);
        Assert.Equal(["a"], (await s3.GetAsync("/kept?tagging")).Expect(200).Values("Tag", "Key"));
        (await s3.PutAsync("/replaced", "", ("x-amz-copy-source", $"{s3.Bucket}/from"), ("x-amz-tagging-directive", "REPLACE"), ("x-amz-tagging", "b=2"))).Expect(200);
        Assert.Equal(["b"], (await s3.GetAsync("/replaced?tagging")).Expect(200).Values("Tag", "Key"));
    });
}
