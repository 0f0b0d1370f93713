using System.Text;
using Proxy.FunctionalTests.Hosting;
using Proxy.FunctionalTests.Operations.Wire;

namespace Proxy.FunctionalTests.Operations;

/// <summary>Connections that carry reads from memory: one that never pauses, one that reads late or not at all, and the end of all.</summary>
public sealed class HotReadConnectionTests(HotReadHouse house) : HotReads(house)
{
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
            "unsigned" => Encoding.ASCII.GetBytes($"HEAD /hot/small HTTP/1.1\r\nHost: {Proxy.Endpoint.Authority}\r\n\r\n"),
            _ => Request("HEAD", "/small", ("x-nobody-knows", "1")),
        };
        using var socket = new System.Net.Sockets.Socket(System.Net.Sockets.SocketType.Stream, System.Net.Sockets.ProtocolType.Tcp);
        await socket.ConnectAsync(Proxy.Endpoint.Host, Proxy.Endpoint.Port);
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
        var (before, others) = (await HotReadsAsync(), 0);
        var slowest = TimeSpan.Zero;
        for (var until = DateTimeOffset.UtcNow.AddSeconds(3); DateTimeOffset.UtcNow < until;)
        {
            // New ones, so that some are on the same thread.
            var asked = System.Diagnostics.Stopwatch.GetTimestamp();
            await using var other = new S3Wire(Proxy.Endpoint, "hot");
            (await other.GetAsync("/small").WaitAsync(TimeSpan.FromSeconds(20))).Expect(200);
            others++;
            var took = System.Diagnostics.Stopwatch.GetElapsedTime(asked);
            slowest = took > slowest ? took : slowest;
        }

        await over.CancelAsync();
        await Task.WhenAll(sending, taking);
        Assert.True(answered > 100_000, $"{answered} bytes of answers");
        Assert.InRange(slowest, TimeSpan.Zero, TimeSpan.FromSeconds(1.5));
        var hot = await HotReadsAsync() - before;
        Assert.True(kind == "hot" ? hot > others + 100 : hot <= others, $"{hot} hot reads, beside which were {others}");
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

    /// <summary>A client that takes nothing for a while holds up nobody and gets everything.</summary>
    [Fact]
    public async Task AClientThatReadsLate_GetsEveryByte()
    {
        const int Reads = 60;
        await using var connection = await WireConnection.OpenAsync(Proxy.Endpoint, receiveBufferBytes: 4096);
        var read = Request("GET", "/large", ("Range", "bytes=0-249999"));
        var sending = Task.Run(async () =>
        {
            for (var i = 0; i < Reads; i++)
            {
                await connection.WriteAsync(read);
            }
        });
        await Task.Delay(300);
        Assert.Equal(100, (await S3.GetAsync("/small", ("Range", "bytes=0-99"))).Body.Length);
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

    [Fact]
    public async Task Stop_WhileHotReadsFollowEachOther_EndsInTime()
    {
        await using var proxy = await ProxyProcess.StartAsync(["--memory", "64MiB", "--nvme", "0", "--set", "Cache:RevalidateTtl=00:10:00"]);
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
        await Patience.UntilAsync(() => Volatile.Read(ref answered) >= 100 || reading.IsCompleted, () => $"{answered} answers\n{proxy.LogTail}");
        Assert.False(reading.IsCompleted, $"The connection ended after {answered} answers, before the stop.\n{reading.Exception}\n{proxy.LogTail}");

        Assert.InRange(await proxy.ReadMetricAsync("s3_proxy_hot_reads_total"), 90, double.MaxValue);
        var stopping = System.Diagnostics.Stopwatch.StartNew();
        await proxy.StopAsync();
        await reading;
        Assert.InRange(stopping.Elapsed, TimeSpan.Zero, TimeSpan.FromSeconds(5));
    }
}
