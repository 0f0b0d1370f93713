using Proxy.FunctionalTests.Hosting;
using Proxy.FunctionalTests.Operations.Wire;
using Proxy.S3.Auth;

namespace Proxy.FunctionalTests.Operations;

/// <summary>A proxy with some objects in memory, and how its reads are asked for and counted.</summary>
public abstract class HotReads(HotReadHouse house) : IClassFixture<HotReadHouse>
{
    internal static readonly byte[] Bytes = MakeBytes(600_000);

    private protected ProxyProcess Proxy { get; } = house.Proxy;

    private protected S3Wire S3 { get; } = new(house.Proxy.Endpoint, "hot");

    private protected byte[] Request(string method, string path, params (string Name, string Value)[] headers)
    {
        var (head, body) = S3.Encode(new WireRequest(method, $"/hot{path}") { Headers = S3Wire.Pairs(headers) });
        return [.. head, .. body];
    }

    private protected byte[] Request(string method, string path, byte[] content)
    {
        var (head, body) = S3.Encode(new WireRequest(method, $"/hot{path}") { Body = content });
        return [.. head, .. body];
    }

    private protected Task<double> HotReadsAsync() => Proxy.ReadMetricAsync("s3_proxy_hot_reads_total");

    private protected static byte[] MakeBytes(int length)
    {
        var bytes = new byte[length];
        new Random(7).NextBytes(bytes);
        return bytes;
    }
}

public sealed class HotReadHouse : IAsyncLifetime
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
        (await s3.PutAsync("/small", HotReads.Bytes[..5000])).Expect(200);
        (await s3.PutAsync("/large", HotReads.Bytes)).Expect(200);
        (await s3.PutAsync("/empty", [])).Expect(200);
        (await s3.PutAsync("/a%20k%C3%A9y", "named")).Expect(200);

        // Whichever test comes first: what was only written is asked about once, and such a read is not a hot one.
        (await s3.GetAsync("/small")).Expect(200);
        (await s3.GetAsync("/large")).Expect(200);
    }

    public ValueTask DisposeAsync() => Proxy.DisposeAsync();
}
