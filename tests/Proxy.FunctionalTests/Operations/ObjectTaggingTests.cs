using System.Text;
using Proxy.FunctionalTests.Hosting;

namespace Proxy.FunctionalTests.Operations;

public sealed class ObjectTaggingTests(TestServers servers) : OperationTests(servers)
{
    [Theory, EverySetup]
    public Task Tags_PutGetDelete(Setup setup) => RunAsync(setup, async s3 =>
    {
        (await s3.PutAsync("/k", "x")).Expect(200);
        Assert.Empty((await s3.GetAsync("/k?tagging")).Expect(200).Values("Tag"));
        (await s3.PutAsync("/k?tagging", Document(("a", "1"), ("b", "two:/=+-@ é")))).Expect(200);
        var tags = (await s3.GetAsync("/k?tagging")).Expect(200);
        Assert.Equal(["a", "b"], tags.Values("Tag", "Key"));
        Assert.Equal(["1", "two:/=+-@ é"], tags.Values("Tag", "Value"));
        Assert.Equal("2", (await s3.HeadAsync("/k")).Expect(200).Header("x-amz-tagging-count"));
        Assert.Equal("2", (await s3.GetAsync("/k")).Expect(200).Header("x-amz-tagging-count"));
        (await s3.DeleteAsync("/k?tagging")).Expect(204);
        Assert.Empty((await s3.GetAsync("/k?tagging")).Expect(200).Values("Tag"));
        Assert.Null((await s3.GetAsync("/k")).Expect(200).Header("x-amz-tagging-count"));
        Assert.Equal("x", (await s3.GetAsync("/k")).Expect(200).Text);
    });

    [Theory, EverySetup]
    public Task Tags_BeyondS3sLimits_AreRefused(Setup setup) => RunAsync(setup, async s3 =>
    {
        (await s3.PutAsync("/k", "x")).Expect(200);
        (await s3.PutAsync("/k?tagging", Document([.. Enumerable.Range(0, 10).Select(i => ($"k{i}", "v"))]))).Expect(200);
        Assert.Equal(400, (await s3.PutAsync("/k?tagging", Document([.. Enumerable.Range(0, 11).Select(i => ($"k{i}", "v"))]))).Status);
        (await s3.PutAsync("/k?tagging", Document((new string('k', 129), "v")))).Expect(400, "InvalidTag");
        (await s3.PutAsync("/k?tagging", Document(("k", new string('v', 257))))).Expect(400, "InvalidTag");
        Assert.Equal(10, (await s3.GetAsync("/k?tagging")).Expect(200).Values("Tag").Count);
    });

    [Theory, EverySetup]
    public Task Tags_OfNothing_IsNoSuchKey(Setup setup) => RunAsync(setup, async s3 =>
    {
        (await s3.GetAsync("/absent?tagging")).Expect(404, "NoSuchKey");
        (await s3.PutAsync("/absent?tagging", Document(("a", "b")))).Expect(404, "NoSuchKey");
    });

    [Theory, EverySetup]
    public Task Tags_MalformedDocument_IsRefused(Setup setup) => RunAsync(setup, async s3 =>
    {
        (await s3.PutAsync("/k", "x")).Expect(200);
        (await s3.PutAsync("/k?tagging", Encoding.UTF8.GetBytes("<Tagging><TagSet>"))).Expect(400, "MalformedXML");
    });

    private static string Document(params (string Key, string Value)[] tags) =>
        $"<Tagging xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><TagSet>{string.Concat(tags.Select(tag => $"<Tag><Key>{tag.Key}</Key><Value>{System.Security.SecurityElement.Escape(tag.Value)}</Value></Tag>"))}</TagSet></Tagging>";
}
