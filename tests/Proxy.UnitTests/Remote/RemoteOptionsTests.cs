using System.ComponentModel.DataAnnotations;
using Microsoft.Extensions.Configuration;
using Proxy.Backends.Remote;

namespace Proxy.UnitTests.Remote;

public sealed class RemoteOptionsTests
{
    [Fact]
    public void Bind_Section_ReadsEveryShapeOfKey()
    {
        var options = new ConfigurationBuilder().AddInMemoryCollection(new Dictionary<string, string?>
        {
            ["Backend:Endpoints:0"] = "http://a:9000",
            ["Backend:Endpoints:1"] = "http://b:9000",
            ["Backend:AccessKey"] = "k",
            ["Backend:SecretKey"] = "s",
            ["Backend:AddressingStyle"] = "VirtualHost",
            ["Backend:StallTimeout"] = "00:00:05",
            ["Backend:Tls:InsecureSkipVerify"] = "true",
            ["Backend:BucketMap:a-bucket"] = "real-bucket",
            ["Backend:Health:MaxConcurrency"] = "32",
        }).Build().GetSection("Backend").Get<RemoteOptions>()!;

        Assert.Equal(["http://a:9000", "http://b:9000"], options.Endpoints);
        Assert.Equal(AddressingStyle.VirtualHost, options.AddressingStyle);
        Assert.Equal(TimeSpan.FromSeconds(5), options.StallTimeout);
        Assert.True(options.Tls.InsecureSkipVerify);
        Assert.Equal("real-bucket", options.BucketMap["a-bucket"]);
        Assert.Equal(32, options.Health.MaxConcurrency);
        Assert.Empty(Problems(options));
    }

    [Theory]
    [InlineData("minio:9000")]
    [InlineData("ftp://minio")]
    [InlineData("http://minio/path")]
    [InlineData("http://user:pw@minio")]
    public void Validate_EndpointThatIsNone_SaysHowOneLooks(string endpoint)
        => Assert.Contains("http://minio:9000", Assert.Single(Problems(new RemoteOptions { Endpoints = [endpoint], AccessKey = "k", SecretKey = "s" })), StringComparison.Ordinal);

    [Fact]
    public void Validate_NoKeys_NamesTheOtherSources()
        => Assert.Contains("CredentialSource", Assert.Single(Problems(new RemoteOptions { Endpoints = ["http://a"] })), StringComparison.Ordinal);

    private static List<string> Problems(RemoteOptions options)
    {
        var results = new List<ValidationResult>();
        Validator.TryValidateObject(options, new ValidationContext(options), results, validateAllProperties: true);
        return [.. results.Select(result => result.ErrorMessage!)];
    }
}
