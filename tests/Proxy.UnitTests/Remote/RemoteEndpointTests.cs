using Proxy.Backends.Remote;

namespace Proxy.UnitTests.Remote;

public sealed class RemoteEndpointTests
{
    [Theory]
    [InlineData("http://minio:9000", AddressingStyle.Auto, "a-bucket", "minio:9000", "/a-bucket/k%2F..//x")]
    [InlineData("http://minio:9000", AddressingStyle.VirtualHost, "a-bucket", "a-bucket.minio:9000", "/k%2F..//x")]
    [InlineData("https://s3.eu-central-1.amazonaws.com", AddressingStyle.Auto, "a-bucket", "a-bucket.s3.eu-central-1.amazonaws.com", "/k%2F..//x")]
    [InlineData("https://s3.eu-central-1.amazonaws.com", AddressingStyle.Path, "a-bucket", "s3.eu-central-1.amazonaws.com", "/a-bucket/k%2F..//x")]
    [InlineData("https://oss-cn-hangzhou.aliyuncs.com:443", AddressingStyle.Auto, "b", "oss-cn-hangzhou.aliyuncs.com", "/b/k%2F..//x")]
    [InlineData("https://s3.amazonaws.com", AddressingStyle.Auto, "with.dots", "s3.amazonaws.com", "/with.dots/k%2F..//x")]
    [InlineData("https://evilamazonaws.com", AddressingStyle.Auto, "a-bucket", "evilamazonaws.com", "/a-bucket/k%2F..//x")]
    public void UriFor_Style_PutsTheBucketWhereItBelongs(string url, AddressingStyle style, string bucket, string host, string path)
    {
        var endpoint = new RemoteEndpoint(url, style, 0);

        Assert.Equal(host, endpoint.HostFor(bucket));
        Assert.Equal(path, endpoint.PathFor(bucket, "k%2F..//x"));
        Assert.Equal($"{path}?a=%2e&b", endpoint.UriFor(bucket, path, "a=%2e&b").PathAndQuery);
    }

    [Fact]
    public void PathFor_BucketOrService_HasNoKey()
    {
        var endpoint = new RemoteEndpoint("http://minio:9000", AddressingStyle.Path, 0);

        Assert.Equal("/", endpoint.PathFor(null, null));
        Assert.Equal("/b", endpoint.PathFor("b", null));
        Assert.Equal("/", new RemoteEndpoint("http://minio:9000", AddressingStyle.VirtualHost, 0).PathFor("bucket", null));
    }
}
