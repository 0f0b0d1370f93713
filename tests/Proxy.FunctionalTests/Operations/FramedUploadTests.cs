using System.Globalization;
using Proxy.FunctionalTests.Faults;
using Proxy.FunctionalTests.Hosting;
using Proxy.FunctionalTests.Operations.Wire;
using Proxy.FunctionalTests.Telemetry;
using Proxy.S3.Auth;

namespace Proxy.FunctionalTests.Operations;

/// <summary>Taking the aws-chunked framing off takes a buffer of 64 KiB; it is a pool's, and goes back with every request.</summary>
/// <remarks>Seen in collections of a first generation that is held small: as many uploads without the framing, which need no such buffer, say what is usual.</remarks>
public sealed class FramedUploadTests
{
    private const int Uploads = 500;
    private const int FirstGenerationBytes = 4 << 20;

    [Theory]
    [InlineData(false, "/k")]
    [InlineData(false, "/k?partNumber=1&uploadId=")]
    [InlineData(true, "/k")]
    [InlineData(true, "/k?partNumber=1&uploadId=")]
    [InlineData(true, "/k?anything=1")]
    public async Task Buffer_GoesBackWithEveryUpload(bool isRemote, string path)
    {
        await using var backend = await FaultyBackend.StartAsync(0, "a-bucket");
        Dictionary<string, string> environment = new() { ["DOTNET_gcServer"] = "0", ["DOTNET_GCgen0size"] = FirstGenerationBytes.ToString("x", CultureInfo.InvariantCulture) };
        await using var proxy = await ProxyProcess.StartAsync(["--nvme", "0", "--set", "Local:Fsync=false"], isRemote ? new Uri(backend.Url) : null, environment);
        await using var s3 = new S3Wire(proxy.Endpoint, "a-bucket");
        await s3.PutAsync("", "");
        path += path.EndsWith('=') ? await s3.CreateUploadAsync("/k") : "";
        await CollectionsAsync(framed: true);

        var plain = await CollectionsAsync(framed: false);
        var framed = await CollectionsAsync(framed: true);
        const int Lost = Uploads * (64 << 10) / FirstGenerationBytes;
        Assert.True(framed <= plain + (Lost / 2), $"{framed} collections with framing, {plain} without; buffers that do not go back make {Lost} more");

        async Task<double> CollectionsAsync(bool framed)
        {
            var before = await CountAsync();
            for (var i = 0; i < Uploads; i++)
            {
                (await s3.SendAsync(new WireRequest("PUT", $"/a-bucket{path}") { Body = [1, 2, 3], PayloadHash = framed ? PayloadHash.StreamingSigned : null })).Expect(200);
            }

            return await CountAsync() - before;
        }

        async Task<double> CountAsync() => new MetricsPage(await proxy.ReadMetricsAsync()).Sum("dotnet_collection_count_total", "generation=\"0\"");
    }
}
