using System.Globalization;
using System.Text;
using Proxy.FunctionalTests.Operations.Wire;

namespace Proxy.FunctionalTests.Operations;

/// <summary>Reads that are answered before Kestrel sees them: the same answers, and every other request on the same connection as it was meant.</summary>
public sealed class HotReadTests(HotReadHouse house) : HotReads(house)
{
    /// <summary>A header that nobody knows makes a request Kestrel's, and changes nothing else.</summary>
    [Theory]
    [InlineData("GET", "/small", null)]
    [InlineData("GET", "/small", "bytes=0-0")]
    [InlineData("GET", "/small", "bytes=10-")]
    [InlineData("GET", "/small", "bytes=-7")]
    [InlineData("GET", "/small", "bytes=0-999999")]
    [InlineData("GET", "/small", "apples=1-2")]
    [InlineData("GET", "/large", "bytes=1000-200000")]
    [InlineData("GET", "/large", "bytes=500000-")]
    [InlineData("GET", "/empty", null)]
    [InlineData("GET", "/a%20k%C3%A9y", null)]
    [InlineData("HEAD", "/small", null)]
    [InlineData("HEAD", "/small", "bytes=3-5")]
    [InlineData("HEAD", "/large", null)]
    public async Task HotRead_IsAnsweredAsKestrelAnswersIt(string method, string path, string? range)
    {
        (string, string)[] headers = range is null ? [] : [("Range", range)];
        (await S3.SendAsync(method, path, null, headers)).Expect(range is null or "apples=1-2" ? 200 : 206); // a HEAD may be what makes it known
        var before = await HotReadsAsync();
        var hot = await S3.SendAsync(method, path, null, headers);
        Assert.Equal(before + 1, await HotReadsAsync());
        var other = await S3.SendAsync(method, path, null, [.. headers, ("x-nobody-knows", "1")]);
        Assert.Equal(before + 1, await HotReadsAsync());
        Assert.Equal(other.Status, hot.Status);
        Assert.Equal(other.Body, hot.Body);
        Assert.Equal("HIT-MEMORY", hot.Header("X-Cache"));
        Assert.Equal(Fixed(other), Fixed(hot));
        Assert.Equal(16, hot.Header("x-amz-request-id")!.Length);
        Assert.InRange(DateTimeOffset.Parse(hot.Header("Date")!, CultureInfo.InvariantCulture), DateTimeOffset.UtcNow.AddMinutes(-1), DateTimeOffset.UtcNow.AddMinutes(1));

        static IEnumerable<string> Fixed(Answer answer) => answer.Headers.Where(header => header.Key is not ("Date" or "x-amz-request-id"))
            .Select(header => $"{header.Key.ToLowerInvariant()}: {header.Value}").Order(StringComparer.Ordinal);
    }

    /// <summary>As the AWS SDKs read: the whole object's checksum comes with the whole object alone.</summary>
    [Theory]
    [InlineData("GET", null, true)]
    [InlineData("HEAD", null, true)]
    [InlineData("GET", "bytes=0-1", false)]
    [InlineData("HEAD", "bytes=0-1", false)]
    public async Task Checksum_ThatAHotReadAsksFor_IsThereWhereItIsTheObjects(string method, string? range, bool isThere)
    {
        (await S3.PutAsync("/summed", "summed", ("x-amz-checksum-crc32c", Crc32C("summed")))).Expect(200);
        (string, string)[] headers = [("x-amz-checksum-mode", "ENABLED"), .. range is null ? [] : new[] { ("Range", range) }];
        (await S3.SendAsync("HEAD", "/summed", null, headers)).Expect(range is null ? 200 : 206);
        (await S3.SendAsync(method, "/summed", null, headers)).Expect(range is null ? 200 : 206);
        var before = await HotReadsAsync();
        var answer = await S3.SendAsync(method, "/summed", null, headers);
        Assert.Equal(before + 1, await HotReadsAsync());
        Assert.Equal(isThere ? Crc32C("summed") : null, answer.Header("x-amz-checksum-crc32c"));
        Assert.Null((await S3.SendAsync(method, "/summed")).Header("x-amz-checksum-crc32c"));

        static string Crc32C(string text)
        {
            var crc = uint.MaxValue;
            foreach (var one in Encoding.ASCII.GetBytes(text))
            {
                crc = System.Numerics.BitOperations.Crc32C(crc, one);
            }

            var bytes = new byte[4];
            System.Buffers.Binary.BinaryPrimitives.WriteUInt32BigEndian(bytes, ~crc);
            return Convert.ToBase64String(bytes);
        }
    }

    [Fact]
    public async Task Metadata_OfAHotRead_ComesBackAsItWent()
    {
        await S3.PutAsync("/meta", "x", ("Content-Type", "text/plain"), ("Cache-Control", "max-age=5"), ("x-amz-meta-a", "one"), ("x-amz-meta-b", "ünï"), ("x-amz-meta-tab", "a\tb"), ("x-amz-meta-none", ""));
        (await S3.GetAsync("/meta")).Expect(200);
        var before = await HotReadsAsync();
        var answer = (await S3.GetAsync("/meta")).Expect(200);
        Assert.Equal(before + 1, await HotReadsAsync());
        Assert.Equal(
            ("text/plain", "max-age=5", "one", "ünï", "a\tb", ""),
            (answer.Header("Content-Type"), answer.Header("Cache-Control"), answer.Header("x-amz-meta-a"), answer.Header("x-amz-meta-b"), answer.Header("x-amz-meta-tab"), answer.Header("x-amz-meta-none")));
    }

    /// <summary>All kinds behind each other in one piece: each is answered once, in its turn, by whoever it belongs to.</summary>
    [Fact]
    public async Task RequestsInOnePiece_AreAnsweredInTheirOrder()
    {
        await using var connection = await WireConnection.OpenAsync(Proxy.Endpoint);
        var read = Request("GET", "/small", ("Range", "bytes=0-99"));
        var smuggled = Request("GET", "/small", ("Range", "bytes=1-1"));
        var before = await HotReadsAsync();
        byte[] all =
        [
            .. read, .. read, .. Request("PUT", "/written", smuggled), .. read, .. Request("GET", "/none"), .. read, .. Request("GET", "/small", ("x-nobody-knows", "1")), .. Request("HEAD", "/small"), .. read,
        ];
        await connection.WriteAsync(all);
        foreach (var (status, length) in new[] { (206, 100), (206, 100), (200, 0), (206, 100), (404, -1), (206, 100), (200, 5000), (200, -2), (206, 100) })
        {
            var answer = await connection.ReadAnswerAsync(bodiless: length == -2);
            Assert.Equal(status, answer.Status);
            Assert.Equal(length < 0 ? answer.Body.Length : length, answer.Body.Length);
        }

        Assert.InRange(await HotReadsAsync(), before + 3, before + 6); // a head that lies across two buffers is Kestrel's
        Assert.Equal(smuggled, (await S3.GetAsync("/written")).Expect(200).Body);
    }

    /// <summary>However a conversation is cut into pieces, what is in it stays the same.</summary>
    [Theory]
    [InlineData(1)]
    [InlineData(7)]
    [InlineData(100)]
    [InlineData(1000)]
    public async Task RequestsInPieces_AreAnsweredInTheirOrder(int pieceBytes)
    {
        await using var connection = await WireConnection.OpenAsync(Proxy.Endpoint);
        var read = Request("GET", "/small", ("Range", "bytes=0-99"));
        byte[] all = [.. read, .. Request("PUT", "/pieces", read), .. read, .. Request("GET", "/small", ("x-nobody-knows", "1")), .. read];
        for (var at = 0; at < all.Length; at += pieceBytes)
        {
            await connection.WriteAsync(all.AsMemory(at, Math.Min(pieceBytes, all.Length - at)));
        }

        foreach (var (status, length) in new[] { (206, 100), (200, 0), (206, 100), (200, 5000), (206, 100) })
        {
            var answer = await connection.ReadAnswerAsync();
            Assert.Equal((status, length), (answer.Status, answer.Body.Length));
        }

        // Alone on the wire again, it is a hot one: nobody has lost count.
        var before = await HotReadsAsync();
        await connection.WriteAsync(read);
        Assert.Equal(100, (await connection.ReadAnswerAsync()).Body.Length);
        Assert.Equal(before + 1, await HotReadsAsync());
    }

    /// <summary>Where a body ends by its own framing, the rest of the connection is Kestrel's.</summary>
    [Fact]
    public async Task AfterAChunkedUpload_TheConnectionIsKestrels()
    {
        await using var connection = await WireConnection.OpenAsync(Proxy.Endpoint);
        var (head, body) = S3.Encode(new WireRequest("PUT", "/hot/chunked") { Body = [1, 2, 3], Chunked = true, PayloadHash = "UNSIGNED-PAYLOAD" });
        var before = await HotReadsAsync();
        await connection.WriteAsync((byte[])[.. head, .. body, .. Request("GET", "/small")]);
        (await connection.ReadAnswerAsync()).Expect(200);
        Assert.Equal(5000, (await connection.ReadAnswerAsync()).Body.Length);
        await connection.WriteAsync(Request("GET", "/small"));
        Assert.Equal(5000, (await connection.ReadAnswerAsync()).Body.Length);
        Assert.Equal(before, await HotReadsAsync());
    }

    [Fact]
    public async Task AWrongSignature_IsRefusedAndTheConnectionGoesOn()
    {
        await using var connection = await WireConnection.OpenAsync(Proxy.Endpoint);
        var read = Request("GET", "/small", ("Range", "bytes=0-99"));
        var text = Encoding.ASCII.GetString(read);
        var before = await HotReadsAsync();
        await connection.WriteAsync(read);
        Assert.Equal(206, (await connection.ReadAnswerAsync()).Status);
        await connection.WriteAsync(text.Replace("/hot/small", "/hot/large", StringComparison.Ordinal));
        (await connection.ReadAnswerAsync()).Expect(403, "SignatureDoesNotMatch");
        await connection.WriteAsync(text.Replace("bytes=0-99", "bytes=0-98", StringComparison.Ordinal)); // signed too
        (await connection.ReadAnswerAsync()).Expect(403, "SignatureDoesNotMatch");
        await connection.WriteAsync(string.Join("\r\n", text.Split("\r\n").Where(line => !line.StartsWith("Authorization", StringComparison.Ordinal))));
        (await connection.ReadAnswerAsync()).Expect(403, "AccessDenied");
        await connection.WriteAsync(read);
        Assert.Equal(206, (await connection.ReadAnswerAsync()).Status);
        Assert.Equal(before + 2, await HotReadsAsync());
    }

    /// <summary>Kestrel refuses a host that is none; so a signed read with one is not a hot one.</summary>
    [Theory]
    [InlineData("a b")]
    [InlineData("foo/bar")]
    [InlineData("x:")]
    public async Task AHostThatIsNone_IsRefusedAsEver(string host)
    {
        await using var connection = await WireConnection.OpenAsync(Proxy.Endpoint);
        await connection.WriteAsync(Request("GET", "/small", ("Range", "bytes=0-99")));
        Assert.Equal(206, (await connection.ReadAnswerAsync()).Status);
        var text = Encoding.ASCII.GetString(Request("GET", "/small", ("Range", "bytes=0-99")));
        await connection.WriteAsync(text.Replace($"Host: {Proxy.Endpoint.Authority}", $"Host: {host}", StringComparison.OrdinalIgnoreCase));
        Assert.Equal(400, (await connection.ReadAnswerAsync()).Status);
    }

    /// <summary>Misses in a row make it look seldom; the first hit it sees makes it look always.</summary>
    [Fact]
    public async Task AfterManyMisses_ItLooksSeldom_UntilThereIsAHit()
    {
        await using var connection = await WireConnection.OpenAsync(Proxy.Endpoint);
        for (var i = 0; i < 20; i++)
        {
            await connection.WriteAsync(Request("GET", "/none"));
            (await connection.ReadAnswerAsync()).Expect(404, "NoSuchKey");
        }

        var before = await HotReadsAsync();
        for (var i = 0; i < 16; i++)
        {
            await connection.WriteAsync(Request("GET", "/small"));
            (await connection.ReadAnswerAsync()).Expect(200);
        }

        // At the fifth it looks again.
        Assert.Equal(before + 12, await HotReadsAsync());
    }

    /// <summary>Who may not read a key does not get it from memory either.</summary>
    [Fact]
    public async Task AKeyOutsideTheCredentialsPrefixes_IsRefused()
    {
        (await S3.SendAsync(new WireRequest("GET", "/hot/small") { Credential = HotReadHouse.Tenant })).Expect(403, "AccessDenied");
        await S3.PutAsync("/tenant/own", "own");
        (await S3.GetAsync("/tenant/own")).Expect(200);
        var before = await HotReadsAsync();
        (await S3.SendAsync(new WireRequest("GET", "/hot/tenant/own") { Credential = HotReadHouse.Tenant })).Expect(200);
        Assert.Equal(before + 1, await HotReadsAsync());
    }

    /// <summary>What is written is read at once, also by who has just had the old version from memory.</summary>
    [Fact]
    public async Task AfterAPut_TheNewVersionIsRead()
    {
        for (var i = 0; i < 50; i++)
        {
            var text = i.ToString(CultureInfo.InvariantCulture);
            (await S3.PutAsync("/changing", text)).Expect(200);
            Assert.Equal(text, (await S3.GetAsync("/changing")).Text);
            Assert.Equal(text, (await S3.GetAsync("/changing")).Text);
        }

        (await S3.DeleteAsync("/changing")).Expect(204);
        (await S3.GetAsync("/changing")).Expect(404);
    }
}
