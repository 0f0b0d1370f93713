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

    [Theory]
    [InlineData(AddressingStyle.Path, "admin", "user", true)]
    [InlineData(AddressingStyle.Path, "admin", "", true)]
    [InlineData(AddressingStyle.VirtualHost, "admin", "user", true)]
    [InlineData(AddressingStyle.VirtualHost, "a-bucket", "admin/user", false)]
    [InlineData(AddressingStyle.VirtualHost, "a-bucket", "minio/admin/v3", true)]
    [InlineData(AddressingStyle.VirtualHost, "a-bucket", "x/../minio/admin/v3", true)]
    [InlineData(AddressingStyle.Path, "a-bucket", "minio/admin/v3", false)]
    [InlineData(AddressingStyle.Path, "a-bucket", "admin/user", false)]
    [InlineData(AddressingStyle.Path, "a-bucket", "../admin/user", true)]
    [InlineData(AddressingStyle.Path, "minio", "admin/v3", true)]
    [InlineData(AddressingStyle.Path, "minio", "../minio/x/../admin/v3", true)]
    [InlineData(AddressingStyle.Path, "minio", "administration", false)]
    [InlineData(AddressingStyle.Path, "administration", "k", false)]
    public void MeansManagement_IsWhatTheStoreWouldTakeForIt(AddressingStyle style, string bucket, string key, bool expected)
        => Assert.Equal(expected, new RemoteEndpoint("http://store:9000", style, 0).MeansManagement(bucket, key));

    [Theory]
    [InlineData("https://s3.amazonaws.com", "https://a-bucket.s3.us-west-2.amazonaws.com/k?rk=1", "us-west-2")]
    [InlineData("https://s3.amazonaws.com", "https://a-bucket.s3-eu-west-1.amazonaws.com/k", "eu-west-1")]
    [InlineData("https://s3.cn-north-1.amazonaws.com.cn", "https://a-bucket.s3.cn-northwest-1.amazonaws.com.cn/k", "cn-northwest-1")]
    [InlineData("https://s3.amazonaws.com", "http://a-bucket.s3.us-west-2.amazonaws.com/k", null)]
    [InlineData("https://s3.amazonaws.com", "https://a-bucket.s3.us-west-2.amazonaws.com:444/k", null)]
    [InlineData("https://s3.amazonaws.com", "https://another.s3.us-west-2.amazonaws.com/k", null)]
    [InlineData("https://s3.amazonaws.com", "https://a-bucket.s3.evil.example.amazonaws.com/k", null)]
    [InlineData("https://s3.amazonaws.com", "https://a-bucket.s3.amazonaws.com/k", null)]
    [InlineData("https://s3.amazonaws.com", "https://a-bucket.s3.us-west-2.amazonaws.com.example/k", null)]
    [InlineData("https://s3.amazonaws.com", "/k", null)]
    [InlineData("https://minio.example", "https://a-bucket.s3.us-west-2.amazonaws.com/k", null)]
    public void TryFollow_Location_GoesToTheBucketsOwnRegionAndNowhereElse(string url, string location, string? region)
    {
        var followed = new RemoteEndpoint(url, AddressingStyle.Auto, 3).TryFollow(new Uri(location, UriKind.RelativeOrAbsolute), "a-bucket", out var moved);

        Assert.Equal(region is not null, followed);
        Assert.Equal(region, moved?.Region);
        if (moved is not null)
        {
            Assert.Equal(new Uri(location).Host, moved.HostFor("a-bucket"));
            Assert.Equal(3, moved.Index);
        }
    }
}
