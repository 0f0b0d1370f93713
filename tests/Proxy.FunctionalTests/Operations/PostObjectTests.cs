using System.Security.Cryptography;
using Proxy.FunctionalTests.Hosting;
using Proxy.FunctionalTests.Operations.Wire;

namespace Proxy.FunctionalTests.Operations;

/// <summary>POST of a browser form, with the policy signed in either version.</summary>
public sealed class PostObjectTests(TestServers servers) : OperationTests(servers)
{
    [Theory, EverySetup]
    public Task Post_SignedInEitherVersion_Stores(Setup setup) => RunAsync(setup, async s3 =>
    {
        foreach (var v2 in (bool[])[false, true])
        {
            var form = new PostForm(s3) { V2 = v2, Fields = { ["x-amz-meta-one"] = "1" }, Conditions = { new[] { "starts-with", "$x-amz-meta-one", "" } } };
            var answer = (await form.SendAsync($"body {v2}")).Expect(204);
            Assert.Empty(answer.Body);
            Assert.NotNull(answer.ETag);
            var stored = (await s3.GetAsync("/foo.txt")).Expect(200);
            Assert.Equal($"body {v2}", stored.Text);
            Assert.Equal("text/plain", stored.Header("Content-Type"));
            Assert.Equal("1", stored.Header("x-amz-meta-one"));
        }
    });

    /// <summary>A form writes one key. To an archive that the store unpacks nobody has asked for the keys in it.</summary>
    [Fact]
    public Task Post_OfAnArchiveToUnpack_IsNotImplemented() => RunAsync(Setup.Local, async s3 =>
    {
        var form = new PostForm(s3) { Fields = { ["x-amz-meta-snowball-auto-extract"] = "true" }, Conditions = { new[] { "starts-with", "$x-amz-meta-snowball-auto-extract", "" } } };
        (await form.SendAsync("x")).Expect(501, "NotImplemented");
        (await s3.GetAsync("/foo.txt")).Expect(404);
    });

    /// <summary>The policy speaks of the form's fields. Nobody has allowed what stands in the headers of the POST, and a browser writes some of its own.</summary>
    [Theory, EverySetup]
    public Task Post_HeadersOfTheRequest_AreNoneOfTheObject(Setup setup) => RunAsync(setup, async s3 =>
    {
        var form = new PostForm(s3)
        {
            Headers = [new("Cache-Control", "max-age=0"), new("x-amz-meta-unasked", "1"), new("x-amz-tagging", "a=1"), new("x-amz-website-redirect-location", "https://elsewhere.test/"), new("If-Match", "\"none\"")],
        };
        (await form.SendAsync("x")).Expect(204);
        var stored = (await s3.HeadAsync("/foo.txt")).Expect(200);
        Assert.Null(stored.Header("Cache-Control"));
        Assert.Null(stored.Header("x-amz-meta-unasked"));
        Assert.Null(stored.Header("x-amz-website-redirect-location"));
        Assert.Null(stored.Header("x-amz-tagging-count"));
    });

    /// <summary>A field becomes one header of the PUT, whatever is in it.</summary>
    [Theory]
    [InlineData(Setup.Local)]
    [InlineData(Setup.Chained)]
    public Task Post_FieldWithALineBreak_IsRefused(Setup setup) => RunAsync(setup, async s3 =>
    {
        var form = new PostForm(s3) { Fields = { ["x-amz-meta-one"] = "1\r\nx-amz-meta-two: 2" }, Conditions = { new[] { "starts-with", "$x-amz-meta-one", "" } } };
        (await form.SendAsync("x")).Expect(400);
        (await s3.GetAsync("/foo.txt")).Expect(404);
    });

    [Theory]
    [InlineData(Setup.Local)]
    [InlineData(Setup.Chained)]
    public Task Post_MetadataNameThatIsNoToken_IsRefused(Setup setup) => RunAsync(setup, async s3 =>
    {
        foreach (var name in (string[])["x-amz-meta-user name", "x-amz-meta-a@b", "x-amz-meta-\u00e9"])
        {
            var form = new PostForm(s3) { Fields = { [name] = "1" }, Conditions = { new[] { "starts-with", "$" + name, "" } } };
            (await form.SendAsync("x")).Expect(400, "InvalidRequest");
        }

        (await s3.GetAsync("/foo.txt")).Expect(404);
    });

    [Theory, EverySetup]
    public Task Post_NamesOfFieldsAndConditions_AreCaseInsensitive(Setup setup) => RunAsync(setup, async s3 =>
    {
        var form = new PostForm(s3) { Bare = true, V2 = true, Fields = { ["kEy"] = "foo.txt", ["cOnTeNt-TyPe"] = "text/plain" } };
        form.Conditions.Add(new Dictionary<string, string> { ["bUcKeT"] = s3.Bucket });
        form.Conditions.Add(new[] { "StArTs-WiTh", "$KeY", "foo" });
        form.Conditions.Add(new[] { "EQ", "$CONTENT-type", "text/plain" });
        (await form.SendAsync("x")).Expect(204);
    });

    [Theory, EverySetup]
    public Task Post_TagsChecksumAndFileName_AreTaken(Setup setup) => RunAsync(setup, async s3 =>
    {
        var form = new PostForm(s3)
        {
            FileName = "foo-from-disk.txt",
            Fields =
            {
                ["key"] = "foo/${filename}",
                ["tagging"] = "<Tagging><TagSet><Tag><Key>a</Key><Value>1 + 2 = 3</Value></Tag></TagSet></Tagging>",
                ["x-amz-checksum-sha256"] = Convert.ToBase64String(SHA256.HashData("x"u8)),
            },
            Conditions = { new[] { "starts-with", "$tagging", "" } },
        };
        (await form.SendAsync("x")).Expect(204);
        Assert.Equal("x", (await s3.GetAsync("/foo/foo-from-disk.txt")).Expect(200).Text);
        Assert.Equal(["1 + 2 = 3"], (await s3.GetAsync("/foo/foo-from-disk.txt?tagging")).Expect(200).Values("Tag", "Value"));

        // A checksum needs no condition of its own, and is held.
        (await form.SendAsync("y")).Expect(400);
        Assert.Equal("x", (await s3.GetAsync("/foo/foo-from-disk.txt")).Expect(200).Text);
    });

    [Theory, EverySetup]
    public Task Post_PolicyOnTheKey_IsOfTheKeyWithItsFileName(Setup setup) => RunAsync(setup, async s3 =>
    {
        (await new PostForm(s3) { FileName = "foo-1.txt", Fields = { ["key"] = "${filename}" } }.SendAsync("x")).Expect(204);
        (await new PostForm(s3) { FileName = "bar.txt", Fields = { ["key"] = "${filename}" } }.SendAsync("x")).Expect(403);
        Assert.Equal(["foo-1.txt"], (await s3.GetAsync("?list-type=2")).Expect(200).Values("Contents", "Key"));
    });

    /// <summary>Some clients send the path of the file on their disk.</summary>
    [Fact]
    public Task Post_FileNameWithItsPath_IsItsLastPart() => RunAsync(Setup.Local, async s3 =>
    {
        foreach (var path in (string[])["foo-1.txt", "some/folder/foo-1.txt", "C:\\some\\folder\\foo-1.txt"])
        {
            (await new PostForm(s3) { FileName = path, Fields = { ["key"] = "foo/${filename}" } }.SendAsync("x")).Expect(204);
        }

        Assert.Equal(["foo/foo-1.txt"], (await s3.GetAsync("?list-type=2")).Expect(200).Values("Contents", "Key"));
    });

    [Fact]
    public Task Post_FileName_StandsInEveryField() => RunAsync(Setup.Local, async s3 =>
    {
        var form = new PostForm(s3) { FileName = "a.txt", Fields = { ["x-amz-meta-from"] = "disk/${filename}" }, Conditions = { new[] { "eq", "$x-amz-meta-from", "disk/a.txt" } } };
        (await form.SendAsync("x")).Expect(204);
        Assert.Equal("disk/a.txt", (await s3.HeadAsync("/foo.txt")).Expect(200).Header("x-amz-meta-from"));
    });

    /// <summary>A short form may stand for very long fields: they are refused before they are built, for nobody has signed them yet.</summary>
    [Fact]
    public Task Post_FieldThatItsFileNameMakesTooLong_IsRefused() => RunAsync(Setup.Local, async s3 =>
    {
        var places = string.Concat(Enumerable.Repeat("${filename}", 5000));
        (await new PostForm(s3) { FileName = new string('f', 8000), Fields = { ["key"] = places } }.SendAsync("x")).Expect(400, "KeyTooLongError");
        (await new PostForm(s3) { FileName = new string('f', 8000), Fields = { ["x-amz-meta-a"] = places } }.SendAsync("x")).Expect(400, "InvalidRequest");
        (await new PostForm(s3) { FileName = new string('f', 1000), Fields = { ["key"] = "foo/${filename}" } }.SendAsync("x")).Expect(204);
        (await new PostForm(s3) { FileName = new string('f', 1021), Fields = { ["key"] = "foo/${filename}" } }.SendAsync("x")).Expect(400, "KeyTooLongError");
    });

    [Theory, EverySetup]
    public Task Post_SuccessActions_AreAnswered(Setup setup) => RunAsync(setup, async s3 =>
    {
        foreach (var (asked, status) in ((string, int)[])[("200", 200), ("201", 201), ("404", 204)])
        {
            var answer = (await new PostForm(s3) { Fields = { ["success_action_status"] = asked }, Conditions = { new[] { "starts-with", "$success_action_status", "" } } }.SendAsync("x")).Expect(status);
            if (status == 201)
            {
                Assert.Equal("foo.txt", answer.Value("Key"));
            }
            else
            {
                Assert.Empty(answer.Body);
            }
        }

        var redirect = await new PostForm(s3) { Fields = { ["success_action_redirect"] = "http://example.com/done" }, Conditions = { new[] { "eq", "$success_action_redirect", "http://example.com/done" } } }.SendAsync("x");
        redirect.Expect(303);
        var etag = Uri.EscapeDataString((await s3.HeadAsync("/foo.txt")).Expect(200).ETag!);
        Assert.Equal($"http://example.com/done?bucket={s3.Bucket}&key=foo.txt&etag={etag}", redirect.Header("Location"));

        const string NotAscii = "http://example.com/fertig/schön\n";
        redirect = await new PostForm(s3) { Fields = { ["success_action_redirect"] = NotAscii }, Conditions = { new[] { "eq", "$success_action_redirect", NotAscii } } }.SendAsync("x");
        Assert.StartsWith("http://example.com/fertig/sch%C3%B6n?bucket=", redirect.Expect(303).Header("Location"), StringComparison.Ordinal);
    });

    [Theory, EverySetup]
    public Task Post_AgainstThePolicy_IsDenied(Setup setup) => RunAsync(setup, async s3 =>
    {
        (await new PostForm(s3) { Expires = TimeSpan.FromMinutes(-1) }.SendAsync("x")).Expect(403);
        (await new PostForm(s3) { Fields = { ["key"] = "bar.txt" } }.SendAsync("x")).Expect(403);
        (await new PostForm(s3) { Fields = { ["x-amz-meta-extra"] = "1" } }.SendAsync("x")).Expect(403);
        (await new PostForm(s3) { Fields = { ["x-ignore-extra"] = "1" } }.SendAsync("x")).Expect(204);
        (await new PostForm(s3) { Conditions = { new[] { "starts-with", "$x-amz-meta-wanted", "1" } } }.SendAsync("x")).Expect(403);
        (await s3.DeleteAsync("/foo.txt")).Expect(204);

        // A policy that names no bucket would do for any of the signer's.
        var anyBucket = new PostForm(s3) { Bare = true, Fields = { ["key"] = "foo.txt" }, Conditions = { new[] { "starts-with", "$key", "" } } };
        (await anyBucket.SendAsync("x")).Expect(403);
        (await s3.HeadAsync("/foo.txt")).Expect(404);
    });

    /// <summary>The policy is held against the bucket that is written, not against what a field of the form calls it.</summary>
    [Theory, EverySetup]
    public Task Post_ToAnotherBucketThanTheSignedOne_IsDenied(Setup setup) => RunAsync(setup, async s3 =>
    {
        var other = s3.Bucket + "-other";
        (await s3.SendAsync(new("PUT", "/" + other))).Expect(200);
        foreach (var v2 in (bool[])[false, true])
        {
            var form = new PostForm(s3) { V2 = v2, PostedTo = other, Fields = { ["bucket"] = s3.Bucket } };
            (await form.SendAsync("x")).Expect(403, "AccessDenied");
        }

        (await s3.SendAsync(new("HEAD", $"/{other}/foo.txt"))).Expect(404);
        (await s3.SendAsync(new("DELETE", "/" + other))).Expect(204);
    });

    [Theory, EverySetup]
    public Task Post_BadlySigned_IsDenied(Setup setup) => RunAsync(setup, async s3 =>
    {
        foreach (var v2 in (bool[])[false, true])
        {
            (await new PostForm(s3) { V2 = v2, SecretKey = "wrong" }.SendAsync("x")).Expect(403, "SignatureDoesNotMatch");
            (await new PostForm(s3) { V2 = v2, AccessKey = "unknown" }.SendAsync("x")).Expect(403, "InvalidAccessKeyId");
        }

        (await new PostForm(s3) { V2 = true, Without = "signature" }.SendAsync("x")).Expect(400, "InvalidArgument");
        (await new PostForm(s3) { V2 = true, Without = "policy" }.SendAsync("x")).Expect(403, "AccessDenied");
        (await s3.HeadAsync("/foo.txt")).Expect(404);
    });

    [Theory, EverySetup]
    public Task Post_HalfASignature_NamesTheMissingField(Setup setup) => RunAsync(setup, async s3 =>
    {
        foreach (var field in (string[])["policy", "x-amz-algorithm", "x-amz-credential", "x-amz-date", "x-amz-signature"])
        {
            Assert.Equal(field, (await new PostForm(s3) { Without = field }.SendAsync("x")).Expect(400, "InvalidArgument").Value("ArgumentName"));
        }

        await using var connection = await WireConnection.OpenAsync(s3.Endpoint);
        await connection.WriteAsync($"POST /{s3.Bucket} HTTP/1.1\r\nHost: {s3.Endpoint.Authority}\r\nContent-Type: multipart/form-data\r\nContent-Length: 1\r\n\r\nx");
        (await connection.ReadAnswerAsync()).Expect(400, "MalformedPOSTRequest");
    });

    [Theory, EverySetup]
    public Task Post_HeadersOfTheForm_AreKept(Setup setup) => RunAsync(setup, async s3 =>
    {
        var form = new PostForm(s3)
        {
            Fields =
            {
                ["Content-Type"] = "text/plain, text/html", ["Content-Language"] = "en-US", ["Content-Disposition"] = "inline", ["Content-Encoding"] = "gzip",
                ["Cache-Control"] = "max-age=100", ["Expires"] = "Fri, 21 Mar 2036 00:00:00 GMT", ["x-amz-meta-a"] = "b",
            },
        };
        form.Conditions.AddRange(form.Fields.Keys.Select(name => new[] { "starts-with", "$" + name, "" }));
        (await form.SendAsync("x")).Expect(204);
        var head = (await s3.HeadAsync("/foo.txt")).Expect(200);
        Assert.All(form.Fields, field => Assert.Equal(field.Value, head.Header(field.Key)));

        // The policy wants text/ of every type in the list.
        (await new PostForm(s3) { Fields = { ["Content-Type"] = "text/plain, image/png" } }.SendAsync("x")).Expect(403, "AccessDenied");
    });

    [Theory, EverySetup]
    public Task Post_PolicyThatIsNone_IsRefused(Setup setup) => RunAsync(setup, async s3 =>
    {
        foreach (var policy in (string[])
        [
            "{}", "nonsense", """{"expiration":"2100-01-01T00:00:00Z"}""", """{"conditions":[]}""",
            """{"EXPIRATION":"2100-01-01T00:00:00Z","conditions":[]}""", """{"expiration":"2100-01-01T00:00:00Z","CONDITIONS":[]}""",
            """{"expiration":"2100-01-01 00:00:00+00:00","conditions":[]}""", """{"expiration":"2100-01-01T00:00:00Z","conditions":[{}]}""",
            """{"expiration":"2100-01-01T00:00:00Z","conditions":[["content-length-range",0]]}""",
            """{"expiration":"2100-01-01T00:00:00Z","conditions":[["content-length-range",0,"99999999999999999999"]]}""",
            """{"expiration":"2100-01-01T00:00:00Z","conditions":[["content-length-range",-1,100]]}""",
            """{"expiration":"2100-01-01T00:00:00Z","conditions":[["content-length-range",0,99999999999999999999]]}""",
        ])
        {
            (await new PostForm(s3) { V2 = true, Policy = policy }.SendAsync("x")).Expect(400, "InvalidPolicyDocument");
        }

        (await new PostForm(s3) { Fields = { ["key"] = "" } }.SendAsync("x")).Expect(400, "InvalidArgument");
        foreach (var range in (object[][])[["content-length-range", 0, 2], ["content-length-range", 4, 10]])
        {
            (await new PostForm(s3) { Conditions = { range } }.SendAsync("xyz")).Expect(400);
        }

        (await s3.HeadAsync("/foo.txt")).Expect(404);
    });

    [Fact]
    public Task Post_FileOverItsRange_IsRefusedBeforeItIsAllHere() => RunAsync(Setup.Local, async s3 =>
    {
        var form = new PostForm(s3) { Conditions = { new object[] { "content-length-range", 0, 1000 } } };
        await using var connection = await WireConnection.OpenAsync(s3.Endpoint);
        await connection.WriteAsync($"POST /{s3.Bucket} HTTP/1.1\r\nHost: {s3.Endpoint.Authority}\r\nContent-Type: multipart/form-data; boundary=bound\r\nContent-Length: {1L << 30}\r\n\r\n{form.Encode(new string('x', 200_000))}");
        (await connection.ReadAnswerAsync()).Expect(400, "EntityTooLarge");
        (await s3.HeadAsync("/foo.txt")).Expect(404);
    });

    /// <summary>Nobody has signed anything yet: what comes before the file is held in memory for as long as the client likes.</summary>
    [Fact]
    public Task Post_FieldsLargerThanAForm_AreRefusedBeforeTheyAreAllHere() => RunAsync(Setup.Local, async s3 =>
    {
        await using var connection = await WireConnection.OpenAsync(s3.Endpoint);
        await connection.WriteAsync($"POST /{s3.Bucket} HTTP/1.1\r\nHost: {s3.Endpoint.Authority}\r\nContent-Type: multipart/form-data; boundary=bound\r\nContent-Length: {64 << 20}\r\n\r\n");
        for (var i = 0; i < 3; i++)
        {
            await connection.WriteAsync($"--bound\r\nContent-Disposition: form-data; name=\"f{i}\"\r\n\r\n{new string('x', 60_000)}\r\n");
        }

        (await connection.ReadAnswerAsync()).Expect(400, "MaxPostPreDataLengthExceededError");
    });

    [Fact]
    public Task Post_BoundaryLongerThanOneCanBe_IsMalformed() => RunAsync(Setup.Local, async s3 =>
    {
        foreach (var length in (int[])[71, 5000])
        {
            (await s3.SendAsync(new WireRequest("POST", $"/{s3.Bucket}")
            {
                Signing = Signing.None,
                UnsignedHeaders = [new("Content-Type", $"multipart/form-data; boundary={new string('b', length)}")],
                Body = "x"u8.ToArray(),
            })).Expect(400, "MalformedPOSTRequest");
        }
    });

    [Fact]
    public Task Post_AskingForEncryption_IsNotStoredWithoutIt() => RunAsync(Setup.Local, async s3 =>
    {
        var form = new PostForm(s3) { Fields = { ["x-amz-server-side-encryption"] = "AES256" }, Conditions = { new[] { "starts-with", "$x-amz-server-side-encryption", "" } } };
        (await form.SendAsync("x")).Expect(501, "NotImplemented");
        (await s3.HeadAsync("/foo.txt")).Expect(404);
    });
}
