using System.Diagnostics;
using System.Globalization;
using System.Net;
using Proxy.FunctionalTests.Hosting;

namespace Proxy.FunctionalTests.Cache;

/// <summary>Design promise 5: whatever the load, memory stays within what is configured plus a constant, and over it clients are told 503.</summary>
/// <remarks>
/// CEILING_READERS (100), CEILING_OBJECT_MIB (16), CEILING_MEMORY_MIB (64): the full form is 2000, 64, 1024. CEILING_READ_MIB lets readers leave
/// after so much of their object (all of it). One reader in eight is slow. The constant is 256 MiB:
/// the runtime, Kestrel's and the sockets' buffers of all those connections.
/// </remarks>
public sealed class MemoryCeilingTests(ITestOutputHelper output)
{
    private const int ConstantMiB = 256;
    private static readonly int Readers = Setting("CEILING_READERS", 100);
    private static readonly int ObjectMiB = Setting("CEILING_OBJECT_MIB", 16);
    private static readonly int ReadMiB = Setting("CEILING_READ_MIB", ObjectMiB);
    private static readonly int MemoryMiB = Setting("CEILING_MEMORY_MIB", 64);

    [Fact]
    public async Task ManyLargeReads_SlowOnesAmongThem_MemoryStaysWithinAndEverybodyIsAnswered()
    {
        var objects = Math.Max(8, Math.Min(MemoryMiB * 3 / ObjectMiB, 48));
        await using var far = await ProxyProcess.StartAsync(["--memory", "64MiB", "--nvme", "0"]);
        await using var proxy = await ProxyProcess.StartAsync(["--memory", $"{MemoryMiB}MiB", "--nvme", "0"], far.Endpoint);
        using var direct = new S3Http(far.Endpoint);
        using var client = new S3Http(proxy.Endpoint);
        await direct.MustAsync(HttpMethod.Put, "/ceiling");
        for (var i = 0; i < objects; i++)
        {
            await direct.MustAsync(HttpMethod.Put, $"/ceiling/files/index_files/1/1/1/1/big_{i}", Body(i));
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
                most = Math.Max(most, ResidentMiB(proxy.ProcessId));
                var asked = Stopwatch.GetTimestamp();
                var answer = await client.TryAsync(HttpMethod.Get, "/ceiling/files/index_files/1/1/1/1/hot");
                Assert.True(answer.Status is HttpStatusCode.OK or HttpStatusCode.ServiceUnavailable, $"the hot object: {answer.Status}");
                slowestHot = TimeSpan.FromTicks(Math.Max(slowestHot.Ticks, Stopwatch.GetElapsedTime(asked).Ticks));
                hot++;
                await Task.Delay(20);
            }
        });
        await Task.WhenAll(Enumerable.Range(0, Readers).Select(async reader =>
        {
            var number = reader % objects;
            using var response = await client.SendAsync(HttpMethod.Get, $"/ceiling/files/index_files/1/1/1/1/big_{number}");
            if (response.StatusCode == HttpStatusCode.ServiceUnavailable)
            {
                Interlocked.Increment(ref refused);
                return;
            }

            Assert.Equal(HttpStatusCode.OK, response.StatusCode);
            try
            {
                await CheckAsync(await response.Content.ReadAsStreamAsync(), number, slow: reader % 8 == 0);
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
        output.WriteLine($"{Readers} readers of {ObjectMiB} MiB, {MemoryMiB} MiB configured: at most {most} MiB resident; {served} served, {refused} told 503, {broken} broken off; {hot} hot reads, the slowest {slowestHot.TotalMilliseconds:F0} ms");
        Assert.True(most <= MemoryMiB + ConstantMiB, $"{most} MiB resident, {MemoryMiB} configured");
        Assert.Equal(Readers, served + refused + broken);
        Assert.True(served > Readers / 2, $"only {served} of {Readers} served, {refused} told 503, {broken} broken off");
        Assert.True(broken <= Readers / 50, $"{broken} of {Readers} were broken off in mid-body");
    }

    private static byte[] Body(int number)
    {
        var bytes = new byte[ObjectMiB << 20];
        for (var at = 0; at < bytes.Length; at += 8)
        {
            BitConverter.TryWriteBytes(bytes.AsSpan(at), ((long)number << 40) | (uint)at);
        }

        return bytes;
    }

    private static async Task CheckAsync(Stream body, int number, bool slow)
    {
        var buffer = new byte[64 << 10];
        long at = 0;
        for (int read; (read = await body.ReadAtLeastAsync(buffer, buffer.Length, throwOnEndOfStream: false)) > 0 && at < (long)ReadMiB << 20; at += read)
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

        if (at != (long)ReadMiB << 20)
        {
            throw new IOException($"object {number} ended at {at}");
        }
    }

    private static long ResidentMiB(int process)
        => long.Parse(File.ReadLines($"/proc/{process}/status").First(line => line.StartsWith("VmRSS", StringComparison.Ordinal)).Split(' ', StringSplitOptions.RemoveEmptyEntries)[1], CultureInfo.InvariantCulture) >> 10;

    private static int Setting(string name, int usual) => int.TryParse(Environment.GetEnvironmentVariable(name), CultureInfo.InvariantCulture, out var set) ? set : usual;
}
