using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Text;
using Proxy.FunctionalTests.Hosting;
using Proxy.S3.Auth;

namespace Proxy.FunctionalTests.Cache;

/// <summary>Design promise 5: whatever the load, memory stays within what is configured plus a constant, and over it clients are told 503.</summary>
/// <remarks>
/// The constant is 256 MiB: the runtime, and Kestrel's and the sockets' buffers of all those connections. CEILING_READERS, CEILING_OBJECT_MIB, CEILING_MEMORY_MIB
/// and CEILING_READ_MIB (how much of its object a reader takes before it leaves) give <see cref="ManyLargeReads_SlowOnesAmongThem_MemoryStaysWithinAndEverybodyIsAnswered"/>
/// other sizes: 2000, 64, 1024 and 64 are the full form, 137 GB on the wire.
/// </remarks>
public sealed class MemoryCeilingTests(ITestOutputHelper output)
{
    private const int ConstantMiB = 256;

    /// <summary>Every object is read to its end, byte for byte; one reader in eight is slow.</summary>
    [Fact]
    public Task ManyLargeReads_SlowOnesAmongThem_MemoryStaysWithinAndEverybodyIsAnswered()
    {
        var objectMiB = Setting.Of("CEILING_OBJECT_MIB", 16);
        return ReadAsync(Setting.Of("CEILING_READERS", 100), objectMiB, Setting.Of("CEILING_READ_MIB", objectMiB), Setting.Of("CEILING_MEMORY_MIB", 64), slowOneIn: 8);
    }

    /// <summary>All of them at once and all of them slow: each has its answer begun and its fill running before it leaves after 2 MiB.</summary>
    [Fact]
    public Task TwoThousandReadersOf64MiB_WhoReadALittleAndLeave_MemoryStaysWithinAndEverybodyIsAnswered() => ReadAsync(2000, 64, 2, 256, slowOneIn: 1);

    /// <summary>The least memory there may be and few streams past it: some must be told to come again, in S3's words, and whoever is not gets the right bytes.</summary>
    /// <remarks>With so few, many find none in mid-body, when what was filled for them ends: those wait, and are broken off where that takes too long: nobody, on a machine that is not busy.</remarks>
    [Fact]
    public async Task SlowReadersOfMoreThanThereIsRoomFor_SomeAreToldSlowDownAndTheOthersServed()
    {
        var refused = await ReadAsync(200, 16, 16, 16, slowOneIn: 1, leastServed: 8, mostBroken: 20, "--set", "Cache:Fills:MaxPassThrough=8");
        Assert.True(refused > 0, "nobody was refused: nothing was tested");
    }

    /// <summary>Uploads that announce 5 MB, send 600 KB and stop: nobody may hold memory for what has not come.</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task FiveHundredUploadsThatStall_MemoryStaysWithin(bool remote)
    {
        const int Uploads = 500;
        const int MemoryMiB = 128;
        const int AnnouncedBytes = 5_000_000;
        const string Hot = "/stalled/files/index_files/1/1/1/1/hot";
        const string Cold = "/stalled/files/index_files/1/1/1/1/cold";
        var sent = new byte[600_000];
        await using var far = remote ? await ProxyProcess.StartAsync(["--memory", "64MiB", "--nvme", "0"]) : null;
        await using var proxy = await ProxyProcess.StartAsync(["--memory", $"{MemoryMiB}MiB", "--nvme", "0"], far?.Endpoint);
        using var client = new S3Http(proxy.Endpoint);
        await client.MustAsync(HttpMethod.Put, "/stalled");
        await client.MustAsync(HttpMethod.Put, Hot, sent);
        await client.MustAsync(HttpMethod.Get, Hot);
        using var behind = new S3Http(far?.Endpoint ?? proxy.Endpoint);
        await behind.MustAsync(HttpMethod.Put, Cold, sent);
        var signer = new RequestSigner("us-east-1", TimeProvider.System);
        var connections = new List<TcpClient>();
        try
        {
            await Task.WhenAll(Enumerable.Range(0, Uploads).Select(async number =>
            {
                var target = $"/stalled/files/insert_log/1/1/1/1/{number}";
                var signature = signer.Sign("PUT", target, proxy.Endpoint.Authority, [], PayloadHash.Unsigned, new Credential(ProxyProcess.AccessKey, ProxyProcess.SecretKey));
                var head = $"PUT {target} HTTP/1.1\r\nHost: {proxy.Endpoint.Authority}\r\nContent-Length: {AnnouncedBytes}\r\nAuthorization: {signature.Authorization}\r\n"
                    + $"x-amz-date: {signature.AmzDate}\r\nx-amz-content-sha256: {signature.ContentSha256}\r\n\r\n";
                var connection = new TcpClient();
                lock (connections)
                {
                    connections.Add(connection);
                }

                await connection.ConnectAsync(proxy.Endpoint.Host, proxy.Endpoint.Port);
                await connection.GetStream().WriteAsync(Encoding.ASCII.GetBytes(head));
                await connection.GetStream().WriteAsync(sent);
            }));

            // All of it has been taken from us. How far it got is the server's affair; what it grows to is watched for as long as it may still be at it.
            long most = 0;
            for (var looks = 0; looks < 40; looks++)
            {
                most = Math.Max(most, proxy.ResidentMiB);
                await Task.Delay(50);
            }

            Assert.Equal("HIT-MEMORY", (await client.MustAsync(HttpMethod.Get, Hot)).Cache);

            // Twice as many as there are connections for forwards, and a miss is still filled.
            Assert.Equal(sent.Length, (await client.MustAsync(HttpMethod.Get, Cold)).Body!.Length);
            output.WriteLine($"{Uploads} uploads that stall, {(remote ? "forwarded" : "local")}, {MemoryMiB} MiB configured: at most {most} MiB resident");
            Assert.True(most <= MemoryMiB + ConstantMiB, $"{most} MiB resident, {MemoryMiB} configured");
        }
        finally
        {
            connections.ForEach(static connection => connection.Dispose());
        }
    }

    /// <param name="leastServed">Null is more than a fifth.</param>
    /// <param name="mostBroken">Null is a fiftieth.</param>
    /// <returns>How many readers were told 503.</returns>
    private async Task<long> ReadAsync(int readers, int objectMiB, int readMiB, int memoryMiB, int slowOneIn, int? leastServed = null, int? mostBroken = null, params string[] settings)
    {
        var objects = Math.Max(8, Math.Min(memoryMiB * 3 / objectMiB, 48));
        await using var far = await ProxyProcess.StartAsync(["--memory", "64MiB", "--nvme", "0"]);
        await using var proxy = await ProxyProcess.StartAsync(["--memory", $"{memoryMiB}MiB", "--nvme", "0", .. settings], far.Endpoint);
        using var direct = new S3Http(far.Endpoint);
        using var client = new S3Http(proxy.Endpoint);
        await direct.MustAsync(HttpMethod.Put, "/ceiling");
        for (var i = 0; i < objects; i++)
        {
            await direct.MustAsync(HttpMethod.Put, $"/ceiling/files/index_files/1/1/1/1/big_{i}", Body(i, objectMiB));
        }

        await direct.MustAsync(HttpMethod.Put, "/ceiling/files/index_files/1/1/1/1/hot", new byte[64 << 10]);
        await client.MustAsync(HttpMethod.Get, "/ceiling/files/index_files/1/1/1/1/hot");

        long most = 0, served = 0, refused = 0, broken = 0, hot = 0;
        var slowestHot = TimeSpan.Zero;
        using var over = new CancellationTokenSource();
        var watching = Task.Run(async () =>
        {
            while (!over.IsCancellationRequested)
            {
                most = Math.Max(most, proxy.ResidentMiB);
                var asked = Stopwatch.GetTimestamp();
                var answer = await client.TryAsync(HttpMethod.Get, "/ceiling/files/index_files/1/1/1/1/hot");
                if (answer.Status != HttpStatusCode.OK)
                {
                    AssertSlowDown(answer.Status, Encoding.UTF8.GetString(answer.Body ?? []));
                }

                slowestHot = TimeSpan.FromTicks(Math.Max(slowestHot.Ticks, Stopwatch.GetElapsedTime(asked).Ticks));
                hot++;
                await Task.Delay(20);
            }
        });
        await Task.WhenAll(Enumerable.Range(0, readers).Select(async reader =>
        {
            var number = reader % objects;
            using var response = await client.SendAsync(HttpMethod.Get, $"/ceiling/files/index_files/1/1/1/1/big_{number}");
            if (response.StatusCode != HttpStatusCode.OK)
            {
                AssertSlowDown(response.StatusCode, await response.Content.ReadAsStringAsync());
                Interlocked.Increment(ref refused);
                return;
            }

            try
            {
                await CheckAsync(await response.Content.ReadAsStreamAsync(), number, readMiB, slow: reader % slowOneIn == 0);
                Interlocked.Increment(ref served);
            }
            catch (Exception e) when (e is IOException or HttpRequestException)
            {
                // Refused when its headers had left: broken off is the only honest end there is.
                Interlocked.Increment(ref broken);
            }
        }));
        await over.CancelAsync();
        await watching;
        output.WriteLine($"{readers} readers of {readMiB} of {objectMiB} MiB, {memoryMiB} MiB configured: at most {most} MiB resident; {served} served, {refused} told 503, {broken} broken off; {hot} hot reads, the slowest {slowestHot.TotalMilliseconds:F0} ms");
        Assert.True(most <= memoryMiB + ConstantMiB, $"{most} MiB resident, {memoryMiB} configured");
        Assert.Equal(readers, served + refused + broken);

        // How many are served is a matter of the machine; that it goes on serving is not.
        Assert.True(served >= (leastServed ?? (readers / 5) + 1), $"only {served} of {readers} served, {refused} told 503, {broken} broken off");
        Assert.True(broken <= (mostBroken ?? readers / 50), $"{broken} of {readers} were broken off in mid-body");
        return refused;
    }

    private static void AssertSlowDown(HttpStatusCode status, string document)
        => Assert.True(status == HttpStatusCode.ServiceUnavailable && document.Contains("<Code>SlowDown</Code>", StringComparison.Ordinal), $"{status} {document}");

    private static byte[] Body(int number, int objectMiB)
    {
        var bytes = new byte[objectMiB << 20];
        for (var at = 0; at < bytes.Length; at += 8)
        {
            BitConverter.TryWriteBytes(bytes.AsSpan(at), ((long)number << 40) | (uint)at);
        }

        return bytes;
    }

    private static async Task CheckAsync(Stream body, int number, int readMiB, bool slow)
    {
        var buffer = new byte[64 << 10];
        long at = 0;
        for (int read; (read = await body.ReadAtLeastAsync(buffer, buffer.Length, throwOnEndOfStream: false)) > 0 && at < (long)readMiB << 20; at += read)
        {
            for (var i = 0; i + 8 <= read; i += 8)
            {
                if (BitConverter.ToInt64(buffer, i) != (((long)number << 40) | (uint)(at + i)))
                {
                    Assert.Fail($"object {number}: wrong byte at {at + i}");
                }
            }

            if (slow && (at & ((1 << 20) - 1)) == 0)
            {
                // A client that is slow, which is what is being tested: no event to wait for.
                await Task.Delay(50);
            }
        }

        if (at != (long)readMiB << 20)
        {
            throw new IOException($"object {number} ended at {at}");
        }
    }

}
