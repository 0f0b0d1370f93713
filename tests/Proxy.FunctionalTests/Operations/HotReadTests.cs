using System.Globalization;
using System.Text;
using Proxy.FunctionalTests.Hosting;
using Proxy.FunctionalTests.Operations.Wire;
using Proxy.S3.Auth;

namespace Proxy.FunctionalTests.Operations;

/// <summary>Reads that are answered before Kestrel sees them: the same answers, and every other request on the same connection as it was meant.</summary>
public sealed class HotReadTests : IClassFixture<HotReadTests.House>
{
    private const string Hot = "s3_proxy_hot_reads_total";
    private static readonly byte[] Bytes = MakeBytes(600_000);

    private readonly ProxyProcess _proxy;
    private readonly S3Wire _s3;

    public HotReadTests(House house)
    {
        _proxy = house.Proxy;
        _s3 = new S3Wire(_proxy.Endpoint, "hot");
    }

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
        (await _s3.SendAsync(method, path, null, headers)).Expect(range is null or "apples=1-2" ? 200 : 206); // a HEAD may be what makes it known
        var before = await HotReadsAsync();
        var hot = await _s3.SendAsync(method, path, null, headers);
        Assert.Equal(before + 1, await HotReadsAsync());
        var other = await _s3.SendAsync(method, path, null, [.. headers, ("x-nobody-knows", "1")]);
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
        (await _s3.PutAsync("/summed", "summed", ("x-amz-checksum-crc32c", Crc32C("summed")))).Expect(200);
        (string, string)[] headers = [("x-amz-checksum-mode", "ENABLED"), .. range is null ? [] : new[] { ("Range", range) }];
        (await _s3.SendAsync("HEAD", "/summed", null, headers)).Expect(range is null ? 200 : 206);
        (await _s3.SendAsync(method, "/summed", null, headers)).Expect(range is null ? 200 : 206);
        var before = await HotReadsAsync();
        var answer = await _s3.SendAsync(method, "/summed", null, headers);
        Assert.Equal(before + 1, await HotReadsAsync());
        Assert.Equal(isThere ? Crc32C("summed") : null, answer.Header("x-amz-checksum-crc32c"));
        Assert.Null((await _s3.SendAsync(method, "/summed")).Header("x-amz-checksum-crc32c"));

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
        await _s3.PutAsync("/meta", "x", ("Content-Type", "text/plain"), ("Cache-Control", "max-age=5"), ("x-amz-meta-a", "one"), ("x-amz-meta-b", "ünï"), ("x-amz-meta-tab", "a\tb"), ("x-amz-meta-none", ""));
        (await _s3.GetAsync("/meta")).Expect(200);
        var before = await HotReadsAsync();
        var answer = (await _s3.GetAsync("/meta")).Expect(200);
        Assert.Equal(before + 1, await HotReadsAsync());
        Assert.Equal(
            ("text/plain", "max-age=5", "one", "ünï", "a\tb", ""),
            (answer.Header("Content-Type"), answer.Header("Cache-Control"), answer.Header("x-amz-meta-a"), answer.Header("x-amz-meta-b"), answer.Header("x-amz-meta-tab"), answer.Header("x-amz-meta-none")));
    }

    /// <summary>All kinds behind each other in one piece: each is answered once, in its turn, by whoever it belongs to.</summary>
    [Fact]
    public async Task RequestsInOnePiece_AreAnsweredInTheirOrder()
    {
        await using var connection = await WireConnection.OpenAsync(_proxy.Endpoint);
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
        Assert.Equal(smuggled, (await _s3.GetAsync("/written")).Expect(200).Body);
    }

    /// <summary>However a conversation is cut into pieces, what is in it stays the same.</summary>
    [Theory]
    [InlineData(1)]
    [InlineData(7)]
    [InlineData(100)]
    [InlineData(1000)]
    public async Task RequestsInPieces_AreAnsweredInTheirOrder(int pieceBytes)
    {
        await using var connection = await WireConnection.OpenAsync(_proxy.Endpoint);
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
        await using var connection = await WireConnection.OpenAsync(_proxy.Endpoint);
        var (head, body) = _s3.Encode(new WireRequest("PUT", "/hot/chunked") { Body = [1, 2, 3], Chunked = true, PayloadHash = "UNSIGNED-PAYLOAD" });
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
        await using var connection = await WireConnection.OpenAsync(_proxy.Endpoint);
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
        await using var connection = await WireConnection.OpenAsync(_proxy.Endpoint);
        await connection.WriteAsync(Request("GET", "/small", ("Range", "bytes=0-99")));
        Assert.Equal(206, (await connection.ReadAnswerAsync()).Status);
        var text = Encoding.ASCII.GetString(Request("GET", "/small", ("Range", "bytes=0-99")));
        await connection.WriteAsync(text.Replace($"Host: {_proxy.Endpoint.Authority}", $"Host: {host}", StringComparison.OrdinalIgnoreCase));
        Assert.Equal(400, (await connection.ReadAnswerAsync()).Status);
    }

    /// <summary>A connection that always has the next request ready has its turn, as everybody else.</summary>
    [Theory]
    [InlineData("hot")]
    [InlineData("unsigned")]
    [InlineData("Kestrel's")]
    public async Task AConnectionThatNeverPauses_KeepsNobodyWaiting(string kind)
    {
        var read = kind switch
        {
            "hot" => Request("HEAD", "/small"),
            "unsigned" => Encoding.ASCII.GetBytes($"HEAD /hot/small HTTP/1.1\r\nHost: {_proxy.Endpoint.Authority}\r\n\r\n"),
            _ => Request("HEAD", "/small", ("x-nobody-knows", "1")),
        };
        using var socket = new System.Net.Sockets.Socket(System.Net.Sockets.SocketType.Stream, System.Net.Sockets.ProtocolType.Tcp);
        await socket.ConnectAsync(_proxy.Endpoint.Host, _proxy.Endpoint.Port);
        var many = Enumerable.Repeat(read, 500).SelectMany(static one => one).ToArray();
        using var over = new CancellationTokenSource();
        var answered = 0L;
        var sending = Task.Run(async () =>
        {
            while (!over.IsCancellationRequested)
            {
                await socket.SendAsync(many);
            }

            socket.Shutdown(System.Net.Sockets.SocketShutdown.Send);
        });
        var taking = Task.Run(async () =>
        {
            var into = new byte[256 << 10];
            for (int received; (received = await socket.ReceiveAsync(into)) > 0;)
            {
                answered += received;
            }
        });
        var slowest = TimeSpan.Zero;
        for (var until = DateTimeOffset.UtcNow.AddSeconds(3); DateTimeOffset.UtcNow < until;)
        {
            // New ones, so that some are on the same thread.
            var asked = System.Diagnostics.Stopwatch.GetTimestamp();
            await using var other = new S3Wire(_proxy.Endpoint, "hot");
            (await other.GetAsync("/small")).Expect(200);
            var took = System.Diagnostics.Stopwatch.GetElapsedTime(asked);
            slowest = took > slowest ? took : slowest;
        }

        await over.CancelAsync();
        await Task.WhenAll(sending, taking);
        Assert.True(answered > 100_000, $"{answered} bytes of answers");
        Assert.InRange(slowest, TimeSpan.Zero, TimeSpan.FromSeconds(1.5));
    }

    /// <summary>What came behind a read whose client is gone is nobody's any more: nothing fails, nothing is logged.</summary>
    [Fact]
    public async Task AClientThatIsGone_LeavesNoErrors()
    {
        await using var proxy = await ProxyProcess.StartAsync(["--memory", "64MiB", "--nvme", "0"]);
        await using var s3 = new S3Wire(proxy.Endpoint, "hot");
        (await s3.SendAsync("PUT", "")).Expect(200);
        (await s3.PutAsync("/large", MakeBytes(4_000_000))).Expect(200);
        (await s3.PutAsync("/small", Bytes[..5000])).Expect(200);
        (await s3.GetAsync("/large")).Expect(200);
        (await s3.GetAsync("/small")).Expect(200);
        byte[] Read(string path, params (string, string)[] headers) => s3.Encode(new WireRequest("GET", $"/hot{path}") { Headers = S3Wire.Pairs(headers) }).Head;
        foreach (var first in new[] { Read("/large"), Read("/large", ("x-nobody-knows", "1")) })
        {
            byte[] all = [.. first, .. Enumerable.Repeat(Read("/small"), 300).SelectMany(static one => one)];
            for (var i = 0; i < 20; i++)
            {
                await using var connection = await WireConnection.OpenAsync(proxy.Endpoint, receiveBufferBytes: 4096);
                await connection.WriteAsync(all);
                await Task.Delay(i % 5);
                connection.Reset();
            }
        }

        (await s3.GetAsync("/small")).Expect(200);
        await proxy.StopAsync();
        Assert.DoesNotContain("fail:", proxy.Log, StringComparison.Ordinal);
        Assert.DoesNotContain("crit:", proxy.Log, StringComparison.Ordinal);
    }

    /// <summary>Misses in a row make it look seldom; the first hit it sees makes it look always.</summary>
    [Fact]
    public async Task AfterManyMisses_ItLooksSeldom_UntilThereIsAHit()
    {
        await using var connection = await WireConnection.OpenAsync(_proxy.Endpoint);
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
        (await _s3.SendAsync(new WireRequest("GET", "/hot/small") { Credential = House.Tenant })).Expect(403, "AccessDenied");
        await _s3.PutAsync("/tenant/own", "own");
        (await _s3.GetAsync("/tenant/own")).Expect(200);
        var before = await HotReadsAsync();
        (await _s3.SendAsync(new WireRequest("GET", "/hot/tenant/own") { Credential = House.Tenant })).Expect(200);
        Assert.Equal(before + 1, await HotReadsAsync());
    }

    /// <summary>What is written is read at once, also by who has just had the old version from memory.</summary>
    [Fact]
    public async Task AfterAPut_TheNewVersionIsRead()
    {
        for (var i = 0; i < 50; i++)
        {
            var text = i.ToString(CultureInfo.InvariantCulture);
            (await _s3.PutAsync("/changing", text)).Expect(200);
            Assert.Equal(text, (await _s3.GetAsync("/changing")).Text);
            Assert.Equal(text, (await _s3.GetAsync("/changing")).Text);
        }

        (await _s3.DeleteAsync("/changing")).Expect(204);
        (await _s3.GetAsync("/changing")).Expect(404);
    }

    /// <summary>A client that takes nothing for a while holds up nobody and gets everything.</summary>
    [Fact]
    public async Task AClientThatReadsLate_GetsEveryByte()
    {
        const int Reads = 60;
        await using var connection = await WireConnection.OpenAsync(_proxy.Endpoint, receiveBufferBytes: 4096);
        var read = Request("GET", "/large", ("Range", "bytes=0-249999"));
        var sending = Task.Run(async () =>
        {
            for (var i = 0; i < Reads; i++)
            {
                await connection.WriteAsync(read);
            }
        });
        await Task.Delay(300);
        Assert.Equal(100, (await _s3.GetAsync("/small", ("Range", "bytes=0-99"))).Body.Length);
        for (var i = 0; i < Reads; i++)
        {
            var answer = await connection.ReadAnswerAsync();
            Assert.True(Bytes.AsSpan(0, 250_000).SequenceEqual(answer.Body), $"answer {i}");
        }

        await sending;
    }

    /// <summary>A client that stops reading for good holds its connection, and the blocks under it, no longer than S3:StallTimeout.</summary>
    [Fact]
    public async Task AClientThatStopsReading_IsCutOff()
    {
        await using var proxy = await ProxyProcess.StartAsync(["--memory", "64MiB", "--nvme", "0", "--set", "S3:StallTimeout=00:00:05"]);
        await using var s3 = new S3Wire(proxy.Endpoint, "hot");
        (await s3.SendAsync("PUT", "")).Expect(200);
        (await s3.PutAsync("/large", Bytes)).Expect(200);
        (await s3.GetAsync("/large")).Expect(200);
        await using var connection = await WireConnection.OpenAsync(proxy.Endpoint, receiveBufferBytes: 4096);
        var read = s3.Encode(new WireRequest("GET", "/hot/large") { Headers = S3Wire.Pairs([("Range", "bytes=0-249999")]) }).Head;
        for (var i = 0; i < 60; i++)
        {
            await connection.WriteAsync(read); // 15 MB of answers: more than both sockets hold
        }

        await Task.Delay(TimeSpan.FromSeconds(8));
        await Assert.ThrowsAnyAsync<IOException>(async () =>
        {
            for (var i = 0; i < 60; i++)
            {
                await connection.ReadAnswerAsync();
            }
        });
        Assert.Contains("s3_proxy_requests_in_flight 0", await proxy.ReadMetricsAsync(), StringComparison.Ordinal);
    }

    /// <summary>Kestrel, which sees none of them, must not take the connection for idle.</summary>
    [Fact]
    public async Task HotReads_ForLongerThanKeepAlive_KeepTheConnection()
    {
        await using var proxy = await ProxyProcess.StartAsync(["--memory", "64MiB", "--nvme", "0", "--set", "S3:KeepAlive=00:01:15"]);
        await using var s3 = new S3Wire(proxy.Endpoint, "hot");
        (await s3.SendAsync("PUT", "")).Expect(200);
        (await s3.PutAsync("/small", Bytes[..5000])).Expect(200);
        await using var connection = await WireConnection.OpenAsync(proxy.Endpoint);
        for (var seconds = 0; seconds < 84; seconds += 4)
        {
            await connection.WriteAsync(s3.Encode(new WireRequest("GET", "/hot/small")).Head);
            Assert.Equal(5000, (await connection.ReadAnswerAsync()).Body.Length);
            await Task.Delay(TimeSpan.FromSeconds(4));
        }
    }

    [Fact]
    public async Task Stop_WhileHotReadsFollowEachOther_EndsInTime()
    {
        await using var proxy = await ProxyProcess.StartAsync(["--memory", "64MiB", "--nvme", "0"]);
        await using var s3 = new S3Wire(proxy.Endpoint, "hot");
        (await s3.SendAsync("PUT", "")).Expect(200);
        (await s3.PutAsync("/small", Bytes[..5000])).Expect(200);
        var answered = 0;
        var reading = Task.Run(async () =>
        {
            try
            {
                await using var connection = await WireConnection.OpenAsync(proxy.Endpoint);
                var (head, _) = s3.Encode(new WireRequest("GET", "/hot/small"));
                while (true)
                {
                    await connection.WriteAsync(head);
                    Assert.Equal(5000, (await connection.ReadAnswerAsync()).Body.Length);
                    Interlocked.Increment(ref answered);
                }
            }
            catch (IOException)
            {
                // The proxy has closed the connection.
            }
        });
        while (Volatile.Read(ref answered) < 100)
        {
            await Task.Delay(10);
        }

        var stopping = System.Diagnostics.Stopwatch.StartNew();
        await proxy.StopAsync();
        await reading;
        Assert.InRange(stopping.Elapsed, TimeSpan.Zero, TimeSpan.FromSeconds(5));
    }

    private byte[] Request(string method, string path, params (string Name, string Value)[] headers)
    {
        var (head, body) = _s3.Encode(new WireRequest(method, $"/hot{path}") { Headers = S3Wire.Pairs(headers) });
        return [.. head, .. body];
    }

    private byte[] Request(string method, string path, byte[] content)
    {
        var (head, body) = _s3.Encode(new WireRequest(method, $"/hot{path}") { Body = content });
        return [.. head, .. body];
    }

    private async Task<double> HotReadsAsync()
        => (await _proxy.ReadMetricsAsync()).Split('\n').Where(line => line.StartsWith(Hot, StringComparison.Ordinal)).Sum(line => double.Parse(line[(line.LastIndexOf(' ') + 1)..], CultureInfo.InvariantCulture));

    private static byte[] MakeBytes(int length)
    {
        var bytes = new byte[length];
        new Random(7).NextBytes(bytes);
        return bytes;
    }

    public sealed class House : IAsyncLifetime
    {
        internal static readonly Credential Tenant = new("tenant", "tenant-secret");

        internal ProxyProcess Proxy { get; private set; } = null!;

        public async ValueTask InitializeAsync()
        {
            // These keys are of the class that is asked about again: a second after the last test's read, the next would not be a hot one.
            Proxy = await ProxyProcess.StartAsync(
            [
                "--memory", "64MiB", "--nvme", "0", "--set", "Cache:RevalidateTtl=00:10:00",
                "--set", "S3:Credentials:0:AccessKey=tenant", "--set", "S3:Credentials:0:SecretKey=tenant-secret", "--set", "S3:Credentials:0:Buckets:0=hot/tenant/",
                "--set", $"S3:Credentials:1:AccessKey={ProxyProcess.AccessKey}", "--set", $"S3:Credentials:1:SecretKey={ProxyProcess.SecretKey}",
            ]);
            await using var s3 = new S3Wire(Proxy.Endpoint, "hot");
            (await s3.SendAsync("PUT", "")).Expect(200);
            (await s3.PutAsync("/small", Bytes[..5000])).Expect(200);
            (await s3.PutAsync("/large", Bytes)).Expect(200);
            (await s3.PutAsync("/empty", [])).Expect(200);
            (await s3.PutAsync("/a%20k%C3%A9y", "named")).Expect(200);

            // Whichever test comes first: what was only written is asked about once, and such a read is not a hot one.
            (await s3.GetAsync("/small")).Expect(200);
            (await s3.GetAsync("/large")).Expect(200);
        }

        public ValueTask DisposeAsync() => Proxy.DisposeAsync();
    }
}
