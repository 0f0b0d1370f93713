using System.Security.Cryptography;
using System.Text;
using Proxy.FunctionalTests.Hosting;
using Proxy.FunctionalTests.Operations.Wire;

namespace Proxy.FunctionalTests.Operations;

public sealed class DeleteObjectsTests(TestServers servers) : OperationTests(servers)
{
    [Theory, EverySetup]
    public Task DeleteObjects_ListsWhatItDeleted(Setup setup) => RunAsync(setup, async s3 =>
    {
        (await s3.PutAsync("/a", "1")).Expect(200);
        (await s3.PutAsync("/b%26%3C", "2")).Expect(200);
        (await s3.PutAsync("/kept", "3")).Expect(200);
        (await s3.GetAsync("/a")).Expect(200);
        var answer = (await DeleteAsync(s3, Document(["a", "b&<", "never"]))).Expect(200);
        Assert.Equal(["a", "b&<", "never"], answer.Values("Deleted", "Key").Order(StringComparer.Ordinal));
        Assert.Empty(answer.Values("Error"));
        (await s3.GetAsync("/a")).Expect(404, "NoSuchKey");
        (await s3.GetAsync("/b%26%3C")).Expect(404, "NoSuchKey");
        (await s3.GetAsync("/kept")).Expect(200);
    });

    [Theory, EverySetup]
    public Task DeleteObjects_Quiet_SaysNothing(Setup setup) => RunAsync(setup, async s3 =>
    {
        (await s3.PutAsync("/a", "1")).Expect(200);
        var answer = (await DeleteAsync(s3, Document(["a", "b"], quiet: true))).Expect(200);
        Assert.Empty(answer.Values("Deleted"));
        (await s3.GetAsync("/a")).Expect(404, "NoSuchKey");
    });

    [Theory, EverySetup]
    public Task DeleteObjects_Thousand_AtOnceAndNoMore(Setup setup) => RunAsync(setup, async s3 =>
    {
        var keys = Enumerable.Range(0, 1000).Select(i => $"some/longer/prefix/key-{i:0000}").ToArray();
        (await s3.PutAsync("/" + keys[999], "x")).Expect(200);
        Assert.Equal(1000, (await DeleteAsync(s3, Document(keys))).Expect(200).Values("Deleted", "Key").Count);
        (await s3.HeadAsync("/" + keys[999])).Expect(404);
        (await DeleteAsync(s3, Document([.. keys, "one-more"]))).Expect(400, "MalformedXML");
    });

    [Theory]
    [InlineData(Setup.Local)]
    [InlineData(Setup.Chained)]
    public Task DeleteObjects_Conditions_AreHeldForEachKey(Setup setup) => RunAsync(setup, async s3 =>
    {
        (await s3.PutAsync("/a", "1")).Expect(200);
        (await s3.PutAsync("/b", "22")).Expect(200);
        (await s3.PutAsync("/c", "333")).Expect(200);
        var modified = (await s3.HeadAsync("/c")).Expect(200).Header("Last-Modified");
        var answer = (await DeleteAsync(
            s3,
            "<Delete><Object><Key>a</Key><Size>2</Size></Object><Object><Key>b</Key><LastModifiedTime>Thu, 01 Jan 2015 00:00:00 GMT</LastModifiedTime></Object>"
            + $"<Object><Key>c</Key><Size>3</Size><LastModifiedTime>{modified}</LastModifiedTime></Object><Object><Key>never</Key><ETag>abc</ETag></Object></Delete>")).Expect(200);
        Assert.Equal(["c", "never"], answer.Values("Deleted", "Key").Order(StringComparer.Ordinal));
        Assert.Equal(["PreconditionFailed", "PreconditionFailed"], answer.Values("Error", "Code"));
        (await s3.HeadAsync("/a")).Expect(200);
        (await s3.HeadAsync("/b")).Expect(200);
        (await s3.HeadAsync("/c")).Expect(404);
    });

    [Theory, EverySetup]
    public Task DeleteObjects_MalformedDocument_IsRefused(Setup setup) => RunAsync(setup, async s3 =>
    {
        foreach (var document in (string[])["", "no xml", "<Delete>", "<Delete><Object><Key>a</Key>", "<Other/>"])
        {
            (await DeleteAsync(s3, document)).Expect(400, "MalformedXML");
        }
    });

    [Theory, EverySetup]
    public Task DeleteObjects_XmlBomb_IsRefused(Setup setup) => RunAsync(setup, async s3 =>
    {
        (await s3.PutAsync("/lol", "x")).Expect(200);
        const string Bomb = "<!DOCTYPE Delete [<!ENTITY a \"lol\"><!ENTITY b \"&a;&a;&a;&a;&a;&a;&a;&a;\">]><Delete><Object><Key>&a;</Key></Object></Delete>";
        (await DeleteAsync(s3, Bomb)).Expect(400, "MalformedXML");
        (await DeleteAsync(s3, "<!DOCTYPE Delete SYSTEM \"file:///etc/passwd\"><Delete><Object><Key>lol</Key></Object></Delete>")).Expect(400, "MalformedXML");
        (await DeleteAsync(s3, $"<Delete>{new string(' ', 5 << 20)}</Delete>")).Expect(400, "MalformedXML");
        (await s3.GetAsync("/lol")).Expect(200);
    });

    [Theory, EverySetup]
    public Task DeleteObjects_WrongDigest_DeletesNothing(Setup setup) => RunAsync(setup, async s3 =>
    {
        (await s3.PutAsync("/a", "x")).Expect(200);
        (await s3.SendAsync("POST", "?delete", Encoding.UTF8.GetBytes(Document(["a"])), ("Content-MD5", Convert.ToBase64String(MD5.HashData("other"u8))))).Expect(400, "BadDigest");
        (await s3.GetAsync("/a")).Expect(200);
    });

    [Theory, EverySetup]
    public Task DeleteObjects_WithCrcInsteadOfMd5_IsTaken(Setup setup) => RunAsync(setup, async s3 =>
    {
        (await s3.PutAsync("/a", "x")).Expect(200);
        using var sum = S3.Checksums.IncrementalChecksum.Create(S3.Checksums.ChecksumAlgorithm.Crc32);
        var document = Encoding.UTF8.GetBytes(Document(["a"]));
        sum.Append(document);
        (await s3.SendAsync("POST", "?delete", document, ("x-amz-checksum-crc32", sum.GetBase64AndReset()), ("x-amz-sdk-checksum-algorithm", "CRC32"))).Expect(200);
        (await s3.GetAsync("/a")).Expect(404, "NoSuchKey");
    });

    [Theory, EverySetup]
    public Task DeleteObjects_AbsentBucket_IsNoSuchBucket(Setup setup) => RunAsync(setup, async s3 =>
    {
        var document = Encoding.UTF8.GetBytes(Document(["a"]));
        (await s3.SendAsync(new("POST", "/no-such-bucket-anywhere?delete") { Body = document, Headers = [new("Content-MD5", Convert.ToBase64String(MD5.HashData(document)))] })).Expect(404, "NoSuchBucket");
    });

    private static Task<Answer> DeleteAsync(S3Wire s3, string document)
    {
        var bytes = Encoding.UTF8.GetBytes(document);
        return s3.SendAsync("POST", "?delete", bytes, ("Content-MD5", Convert.ToBase64String(MD5.HashData(bytes))));
    }

    private static string Document(IEnumerable<string> keys, bool quiet = false) =>
        $"<Delete xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">{(quiet ? "<Quiet>true</Quiet>" : "")}{string.Concat(keys.Select(key => $"<Object><Key>{System.Security.SecurityElement.Escape(key)}</Key></Object>"))}</Delete>";
}
