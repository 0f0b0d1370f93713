using System.Security.Cryptography;
using System.Text;
using Proxy.FunctionalTests.Hosting;

namespace Proxy.FunctionalTests.Operations;

/// <summary>CreateMultipartUpload, UploadPart, CompleteMultipartUpload, AbortMultipartUpload, ListParts.</summary>
public sealed class MultipartTests(TestServers servers) : OperationTests(servers)
{
    private const int MinPart = 5 << 20;

    [Theory, EverySetup]
    public Task Upload_OfSeveralParts_IsOneObject(Setup setup) => RunAsync(setup, async s3 =>
    {
        byte[][] bodies = [Bytes(MinPart, 1), Bytes(MinPart + 17, 2), Bytes(100, 3)];
        var upload = await s3.CreateUploadAsync("/a%20b", ("Content-Type", "text/x-a"), ("x-amz-meta-one", "1"), ("Cache-Control", "no-cache"));
        (await s3.GetAsync("/a%20b")).Expect(404, "NoSuchKey");
        var parts = new (int, string)[bodies.Length];
        await Parallel.ForAsync(0, bodies.Length, async (i, _) =>
        {
            await using var other = s3.Another();
            parts[i] = (i + 1, await other.UploadPartAsync("/a%20b", upload, i + 1, bodies[i]));
        });
        Assert.Equal($"\"{Convert.ToHexStringLower(MD5.HashData(bodies[0]))}\"", parts[0].Item2);
        (await s3.CompleteAsync("/a%20b", upload, parts)).Expect(200);

        var whole = (await s3.GetAsync("/a%20b")).Expect(200);
        Assert.Equal(bodies.SelectMany(body => body), whole.Body);
        Assert.Equal($"\"{Convert.ToHexStringLower(MD5.HashData([.. bodies.SelectMany(MD5.HashData)]))}-3\"", whole.ETag);
        Assert.Equal("text/x-a", whole.Header("Content-Type"));
        Assert.Equal("1", whole.Header("x-amz-meta-one"));
        Assert.Equal("no-cache", whole.Header("Cache-Control"));
        Assert.Equal(bodies[1][..20], (await s3.GetAsync("/a%20b", ("Range", $"bytes={MinPart}-{MinPart + 19}"))).Expect(206).Body);
        Assert.Equal($"{(2 * MinPart) + 117}", (await s3.HeadAsync("/a%20b")).Expect(200).Header("Content-Length"));
    });

    [Theory, EverySetup]
    public Task Complete_AnswersTheETag(Setup setup) => RunAsync(setup, async s3 =>
    {
        var upload = await s3.CreateUploadAsync("/k");
        var part = await s3.UploadPartAsync("/k", upload, 1, Bytes(10));
        var answer = (await s3.CompleteAsync("/k", upload, [(1, part)])).Expect(200);
        Assert.Equal("CompleteMultipartUploadResult", answer.Xml.Name.LocalName);
        Assert.Equal((await s3.HeadAsync("/k")).ETag, answer.Value("ETag"));
        Assert.Equal(s3.Bucket, answer.Value("Bucket"));
        Assert.Equal("k", answer.Value("Key"));
        Assert.NotNull(answer.Value("Location"));
    });

    [Theory, EverySetup]
    public Task Complete_Repeated_AnswersTheSame(Setup setup) => RunAsync(setup, async s3 =>
    {
        var upload = await s3.CreateUploadAsync("/k");
        var part = await s3.UploadPartAsync("/k", upload, 1, Bytes(10));
        (await s3.CompleteAsync("/k", upload, [(1, part)])).Expect(200);
        (await s3.CompleteAsync("/k", upload, [(1, part)])).Expect(200);
        Assert.Equal(Bytes(10), (await s3.GetAsync("/k")).Expect(200).Body);
    });

    [Theory, EverySetup]
    public Task Complete_WithPartsThatAreNot_IsRefusedAndMayBeTriedAgain(Setup setup) => RunAsync(setup, async s3 =>
    {
        (await s3.PutAsync("/k", "old")).Expect(200);
        var upload = await s3.CreateUploadAsync("/k");
        var one = await s3.UploadPartAsync("/k", upload, 1, Bytes(MinPart, 1));
        var two = await s3.UploadPartAsync("/k", upload, 2, Bytes(10, 2));
        (await s3.CompleteAsync("/k", upload, [(1, one), (3, two)])).Expect(400, "InvalidPart");
        (await s3.CompleteAsync("/k", upload, [(1, two)])).Expect(400, "InvalidPart");
        (await s3.CompleteAsync("/k", upload, [(2, two), (1, one)])).Expect(400, "InvalidPartOrder");
        (await s3.CompleteAsync("/k", upload, [])).Expect(400, "MalformedXML");
        Assert.Equal("old", (await s3.GetAsync("/k")).Expect(200).Text);
        (await s3.CompleteAsync("/k", upload, [(1, one), (2, two)])).Expect(200);
        Assert.Equal(MinPart + 10, (await s3.GetAsync("/k")).Expect(200).Body.Length);
    });

    [Theory, EverySetup]
    public Task Complete_SmallPartBeforeTheLast_IsTooSmall(Setup setup) => RunAsync(setup, async s3 =>
    {
        var upload = await s3.CreateUploadAsync("/k");
        var one = await s3.UploadPartAsync("/k", upload, 1, Bytes(100));
        var two = await s3.UploadPartAsync("/k", upload, 2, Bytes(100));
        (await s3.CompleteAsync("/k", upload, [(1, one), (2, two)])).Expect(400, "EntityTooSmall");
    });

    [Theory, EverySetup]
    public Task Complete_MalformedDocument_IsRefused(Setup setup) => RunAsync(setup, async s3 =>
    {
        var upload = await s3.CreateUploadAsync("/k");
        foreach (var document in (string[])["", "x", "<CompleteMultipartUpload>", "<!DOCTYPE a [<!ENTITY b \"c\">]><CompleteMultipartUpload><Part><PartNumber>&b;</PartNumber><ETag>x</ETag></Part></CompleteMultipartUpload>"])
        {
            (await s3.SendAsync("POST", $"/k?uploadId={upload}", Encoding.UTF8.GetBytes(document))).Expect(400, "MalformedXML");
        }
    });

    [Theory, EverySetup]
    public Task Complete_SomeOfTheParts_DropsTheOthers(Setup setup) => RunAsync(setup, async s3 =>
    {
        var upload = await s3.CreateUploadAsync("/k");
        var two = await s3.UploadPartAsync("/k", upload, 2, Bytes(MinPart, 2));
        await s3.UploadPartAsync("/k", upload, 5, Bytes(MinPart, 5));
        var nine = await s3.UploadPartAsync("/k", upload, 9, Bytes(9, 9));
        (await s3.CompleteAsync("/k", upload, [(2, two), (9, nine)])).Expect(200);
        Assert.Equal((byte[])[.. Bytes(MinPart, 2), .. Bytes(9, 9)], (await s3.GetAsync("/k")).Expect(200).Body);
    });

    [Theory, EverySetup]
    public Task Part_UploadedAgain_Replaces(Setup setup) => RunAsync(setup, async s3 =>
    {
        var upload = await s3.CreateUploadAsync("/k");
        var first = await s3.UploadPartAsync("/k", upload, 1, Bytes(50, 1));
        var second = await s3.UploadPartAsync("/k", upload, 1, Bytes(60, 2));
        (await s3.CompleteAsync("/k", upload, [(1, first)])).Expect(400, "InvalidPart");
        (await s3.CompleteAsync("/k", upload, [(1, second)])).Expect(200);
        Assert.Equal(Bytes(60, 2), (await s3.GetAsync("/k")).Expect(200).Body);
    });

    [Theory, EverySetup]
    public Task Part_NumberOutOfRange_IsRefused(Setup setup) => RunAsync(setup, async s3 =>
    {
        var upload = await s3.CreateUploadAsync("/k");
        foreach (var number in (string[])["0", "10001", "x", "-1"])
        {
            (await s3.PutAsync($"/k?partNumber={number}&uploadId={upload}", "x")).Expect(400, "InvalidArgument");
        }
    });

    [Theory, EverySetup]
    public Task Upload_Unknown_IsNoSuchUpload(Setup setup) => RunAsync(setup, async s3 =>
    {
        (await s3.PutAsync("/k?partNumber=1&uploadId=nonsense", "x")).Expect(404, "NoSuchUpload");
        (await s3.CompleteAsync("/k", "nonsense", [(1, "x")])).Expect(404, "NoSuchUpload");
        (await s3.DeleteAsync("/k?uploadId=nonsense")).Expect(404, "NoSuchUpload");
        (await s3.GetAsync("/k?uploadId=nonsense")).Expect(404, "NoSuchUpload");
    });

    [Theory, EverySetup]
    public Task Abort_ForgetsEverything(Setup setup) => RunAsync(setup, async s3 =>
    {
        (await s3.PutAsync("/k", "old")).Expect(200);
        var upload = await s3.CreateUploadAsync("/k");
        var part = await s3.UploadPartAsync("/k", upload, 1, Bytes(10));
        (await s3.DeleteAsync($"/k?uploadId={upload}")).Expect(204);
        Assert.Equal(404, (await s3.CompleteAsync("/k", upload, [(1, part)])).Status);
        Assert.Equal(404, (await s3.GetAsync($"/k?uploadId={upload}")).Status);
        Assert.Equal("old", (await s3.GetAsync("/k")).Expect(200).Text);
    });

    [Theory, EverySetup]
    public Task Complete_IfNoneMatchStar_OnlyWhenAbsent(Setup setup) => RunAsync(setup, async s3 =>
    {
        var upload = await s3.CreateUploadAsync("/k");
        var part = await s3.UploadPartAsync("/k", upload, 1, Bytes(10));
        (await s3.PutAsync("/k", "first")).Expect(200);
        (await s3.CompleteAsync("/k", upload, [(1, part)], ("If-None-Match", "*"))).Expect(412, "PreconditionFailed");
        Assert.Equal("first", (await s3.GetAsync("/k")).Expect(200).Text);
    });

    [Theory, EverySetup]
    public Task WrongPart_LeavesTheOldPart(Setup setup) => RunAsync(setup, async s3 =>
    {
        var upload = await s3.CreateUploadAsync("/k");
        var part = await s3.UploadPartAsync("/k", upload, 1, Bytes(1000));
        (await s3.PutAsync($"/k?partNumber=1&uploadId={upload}", "x", ("Content-MD5", Convert.ToBase64String(MD5.HashData("y"u8))))).Expect(400, "BadDigest");
        (await s3.CompleteAsync("/k", upload, [(1, part)])).Expect(200);
        Assert.Equal(Bytes(1000), (await s3.GetAsync("/k")).Expect(200).Body);
    });

    [Theory, EverySetup]
    public Task EmptyPart_MakesAnEmptyObject(Setup setup) => RunAsync(setup, async s3 =>
    {
        var upload = await s3.CreateUploadAsync("/k");
        var part = await s3.UploadPartAsync("/k", upload, 1, []);
        (await s3.CompleteAsync("/k", upload, [(1, part)])).Expect(200);
        Assert.Empty((await s3.GetAsync("/k")).Expect(200).Body);
    });

    [Theory, EverySetup]
    public Task ListParts_PagesAndFields(Setup setup) => RunAsync(setup, async s3 =>
    {
        var upload = await s3.CreateUploadAsync("/a%20b");
        foreach (var number in (int[])[1, 2, 7, 9])
        {
            await s3.UploadPartAsync("/a%20b", upload, number, Bytes(number));
        }

        var all = (await s3.GetAsync($"/a%20b?uploadId={upload}")).Expect(200);
        Assert.Equal(["1", "2", "7", "9"], all.Values("Part", "PartNumber"));
        Assert.Equal(["1", "2", "7", "9"], all.Values("Part", "Size"));
        Assert.Equal("a b", all.Value("Key"));
        Assert.Equal("false", all.Value("IsTruncated"));
        Assert.NotNull(all.Value("LastModified"));
        var first = (await s3.GetAsync($"/a%20b?uploadId={upload}&max-parts=2")).Expect(200);
        Assert.Equal("true", first.Value("IsTruncated"));
        Assert.Equal("2", first.Value("NextPartNumberMarker"));
        var second = (await s3.GetAsync($"/a%20b?uploadId={upload}&max-parts=2&part-number-marker=2")).Expect(200);
        Assert.Equal(["7", "9"], second.Values("Part", "PartNumber"));
        Assert.Equal("false", second.Value("IsTruncated"));
    });

    [Theory, EverySetup]
    public Task ListUploads_PrefixMarkersAndDelimiter(Setup setup) => RunAsync(setup, async s3 =>
    {
        foreach (var key in (string[])["a", "b/1", "b/2", "c"])
        {
            await s3.CreateUploadAsync("/" + key);
        }

        await s3.CreateUploadAsync("/c");
        var all = (await s3.GetAsync("?uploads")).Expect(200);
        Assert.Equal("ListMultipartUploadsResult", all.Xml.Name.LocalName);
        Assert.Equal(["a", "b/1", "b/2", "c", "c"], all.Values("Upload", "Key"));
        Assert.Equal(["b/1", "b/2"], (await s3.GetAsync("?uploads&prefix=b/")).Expect(200).Values("Upload", "Key"));
        var grouped = (await s3.GetAsync("?uploads&delimiter=/")).Expect(200);
        Assert.Equal(["a", "c", "c"], grouped.Values("Upload", "Key"));
        Assert.Equal(["b/"], grouped.Values("CommonPrefixes", "Prefix"));
        var seen = new List<string>();
        string keyMarker = "", idMarker = "";
        for (var page = 0; page < 10; page++)
        {
            var answer = (await s3.GetAsync($"?uploads&max-uploads=2&key-marker={Uri.EscapeDataString(keyMarker)}&upload-id-marker={Uri.EscapeDataString(idMarker)}")).Expect(200);
            seen.AddRange(answer.Values("Upload", "UploadId"));
            if (answer.Value("IsTruncated") != "true")
            {
                break;
            }

            keyMarker = answer.Value("NextKeyMarker")!;
            idMarker = answer.Value("NextUploadIdMarker")!;
        }

        Assert.Equal(all.Values("Upload", "UploadId"), seen);
    });

    [Fact]
    public Task TenThousandParts_OnTheLocalStore() => RunAsync(Setup.Local, async s3 =>
    {
        var upload = await s3.CreateUploadAsync("/k");
        var source = Bytes(MinPart);
        (await s3.PutAsync("/source", source)).Expect(200);
        var parts = new (int Number, string ETag)[10_000];

        // Copied on the server: ten thousand parts that share one source's bytes are 50 GiB of object and no disk.
        await Parallel.ForAsync(0, 8, async (worker, _) =>
        {
            await using var other = s3.Another();
            for (var i = worker; i < parts.Length; i += 8)
            {
                var copied = (await other.PutAsync($"/k?partNumber={i + 1}&uploadId={upload}", "", ("x-amz-copy-source", $"{s3.Bucket}/source"))).Expect(200);
                parts[i] = (i + 1, copied.Value("ETag")!);
            }
        });
        (await s3.CompleteAsync("/k", upload, parts)).Expect(200);
        var head = (await s3.HeadAsync("/k")).Expect(200);
        Assert.Equal($"{10_000L * MinPart}", head.Header("Content-Length"));
        Assert.EndsWith("-10000\"", head.ETag!, StringComparison.Ordinal);
        Assert.Equal((byte[])[.. source[^5..], .. source[..5]], (await s3.GetAsync("/k", ("Range", $"bytes={(7777L * MinPart) - 5}-{(7777L * MinPart) + 4}"))).Expect(206).Body);
        Assert.Equal(source, (await s3.GetAsync("/k?partNumber=9999")).Expect(206).Body);
        (await s3.DeleteAsync("/k")).Expect(204);
    });

    [Theory, EverySetup]
    public Task UploadPartCopy_WholeAndRanges(Setup setup) => RunAsync(setup, async s3 =>
    {
        var source = Bytes(6 << 20);
        (await s3.PutAsync("/source", source)).Expect(200);
        var upload = await s3.CreateUploadAsync("/k");
        var one = (await s3.PutAsync($"/k?partNumber=1&uploadId={upload}", "", ("x-amz-copy-source", $"/{s3.Bucket}/source"))).Expect(200);
        Assert.Equal("CopyPartResult", one.Xml.Name.LocalName);
        var two = (await s3.PutAsync($"/k?partNumber=2&uploadId={upload}", "", ("x-amz-copy-source", $"/{s3.Bucket}/source"), ("x-amz-copy-source-range", "bytes=10-1009"))).Expect(200);
        (await s3.CompleteAsync("/k", upload, [(1, one.Value("ETag")!), (2, two.Value("ETag")!)])).Expect(200);
        Assert.Equal((byte[])[.. source, .. source[10..1010]], (await s3.GetAsync("/k")).Expect(200).Body);
    });

    [Theory, EverySetup]
    public Task UploadPartCopy_RangesThatAreNone_AreRefused(Setup setup) => RunAsync(setup, async s3 =>
    {
        (await s3.PutAsync("/source", "0123456789")).Expect(200);
        var upload = await s3.CreateUploadAsync("/k");
        foreach (var range in (string[])["0-2", "bytes=0", "bytes=hello-world", "bytes=0-bar", "bytes=hello-", "bytes=0-2,3-5"])
        {
            (await s3.PutAsync($"/k?partNumber=1&uploadId={upload}", "", ("x-amz-copy-source", $"{s3.Bucket}/source"), ("x-amz-copy-source-range", range))).Expect(400, "InvalidArgument");
        }

        (await s3.PutAsync($"/k?partNumber=1&uploadId={upload}", "", ("x-amz-copy-source", $"{s3.Bucket}/source"), ("x-amz-copy-source-range", "bytes=0-21"))).Expect(416, "InvalidRange");
        (await s3.PutAsync($"/k?partNumber=1&uploadId={upload}", "", ("x-amz-copy-source", $"{s3.Bucket}/absent"))).Expect(404, "NoSuchKey");
    });
}
