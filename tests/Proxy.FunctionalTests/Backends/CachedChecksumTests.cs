using Proxy.FunctionalTests.Faults;
using Proxy.FunctionalTests.Hosting;

namespace Proxy.FunctionalTests.Backends;

/// <summary>What a backend tells of an object's checksum only in the answer to a HEAD is told also of an object that the cache came to know otherwise.</summary>
public sealed class CachedChecksumTests
{
    [Theory]
    [InlineData("files/insert_log/1/2/3/100/9")]
    [InlineData("files/index_files/1/1/1/1/slice_0")]
    [InlineData("anything")]
    public async Task Head_ThatAsksForTheChecksum_OfAnObjectKnownByAGet_HasIt(string key)
    {
        await using var backend = await FaultyBackend.StartAsync(0, "a-bucket");
        await using var proxy = await ProxyProcess.StartAsync(["--nvme", "0"], new Uri(backend.Url));
        using var s3 = new S3Caller(proxy.Endpoint);
        var bytes = SeveralBackendsTests.MakeBytes(100_000);
        backend.Store.TryPut("a-bucket", key, FaultyObject.Of(bytes, KeyValuePair.Create("x-amz-checksum-crc32", "AAAAAA==")));
        backend.Store.TryPut("a-bucket", key + "1", FaultyObject.Of(bytes, KeyValuePair.Create("x-amz-checksum-crc32", "AAAAAA==")));

        Assert.Equal(bytes, (await s3.GetAsync($"/a-bucket/{key}")).Ok().Body);
        for (var round = 0; round < 2; round++)
        {
            var head = (await s3.SendAsync("HEAD", $"/a-bucket/{key}", null, ("x-amz-checksum-mode", "ENABLED"))).Ok();
            Assert.Equal("AAAAAA==", head.Header("x-amz-checksum-crc32"));
        }

        // Asked of the backend once: from then on the cache knows it. And the same of one that nothing is known of.
        Assert.Equal(1, backend.Count("HeadObject"));
        Assert.Equal("AAAAAA==", (await s3.SendAsync("HEAD", $"/a-bucket/{key}1", null, ("x-amz-checksum-mode", "ENABLED"))).Ok().Header("x-amz-checksum-crc32"));
        Assert.Equal(bytes, (await s3.GetAsync($"/a-bucket/{key}")).Ok().Body);
    }

    /// <summary>Promise 6: that there is none is known too.</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Head_ThatAsksForTheChecksum_WhereThereIsNone_AsksTheBackendOnce(bool isWrittenThrough)
    {
        const string Target = "/a-bucket/files/index_files/1/1/1/1/slice_0";
        await using var backend = await FaultyBackend.StartAsync(0, "a-bucket");
        await using var proxy = await ProxyProcess.StartAsync(["--nvme", "0"], new Uri(backend.Url));
        using var s3 = new S3Caller(proxy.Endpoint);
        var bytes = SeveralBackendsTests.MakeBytes(100_000);
        if (isWrittenThrough)
        {
            (await s3.SendAsync("PUT", Target, bytes)).Ok();
        }
        else
        {
            backend.Store.TryPut("a-bucket", Target["/a-bucket/".Length..], FaultyObject.Of(bytes));
        }

        Assert.Equal(bytes, (await s3.GetAsync(Target)).Ok().Body);
        for (var round = 0; round < 3; round++)
        {
            Assert.Null((await s3.SendAsync("HEAD", Target, null, ("x-amz-checksum-mode", "ENABLED"))).Ok().Header("x-amz-checksum-crc32"));
        }

        Assert.Equal(1, backend.Count("HeadObject"));
    }
}
