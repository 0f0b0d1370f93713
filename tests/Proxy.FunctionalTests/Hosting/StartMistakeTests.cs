using System.Net;
using System.Net.Sockets;

namespace Proxy.FunctionalTests.Hosting;

/// <summary>A mistake that keeps the proxy from starting is said in a line, and the exit code says whether trying again may help.</summary>
public sealed class StartMistakeTests
{
    [Theory]
    [InlineData("S3:Credentials: AccessKey 'milvus1234' is there 2 times", "--set", "S3:Credentials:0:AccessKey=milvus1234", "--set", "S3:Credentials:0:SecretKey=secret1234", "--set", "S3:Credentials:1:AccessKey=milvus1234", "--set", "S3:Credentials:1:SecretKey=secret5678")]
    [InlineData("S3:Tls: set both CertificateFile and KeyFile", "--set", "S3:Tls:KeyFile=/no/such.pem")]
    [InlineData("S3:Tls: certificate /no/such.pem", "--set", "S3:Tls:CertificateFile=/no/such.pem")]
    [InlineData("Admin:Tls: certificate /no/such.pem", "--set", "Admin:Tls:CertificateFile=/no/such.pem", "--set", "Admin:Tls:KeyFile=/no/such.pem")]
    [InlineData("--set Foo: write it as KEY=VALUE", "--set", "Foo")]
    public async Task Mistake_IsSaidInALine(string said, params string[] arguments)
    {
        var port = Loopback.FreePorts(2);
        await EndsAsync(2, said, ["--listen", $"127.0.0.1:{port}", "--admin", $"127.0.0.1:{port + 1}", .. arguments]);
    }

    /// <summary>What is somebody else's now, or not there yet, may be had a little later: not the code after which a service is not started again.</summary>
    [Theory]
    [InlineData("--listen", "--admin", "Cannot start: S3:Listen: cannot listen on")]
    [InlineData("--admin", "--listen", "Cannot start: Admin:Listen: cannot listen on")]
    public async Task PortThatIsTaken_IsNoMistakeForEver(string taken, string free, string said)
    {
        using var other = new TcpListener(IPAddress.Loopback, 0);
        other.Start();
        await EndsAsync(1, said, [taken, $"{other.LocalEndpoint}", free, $"127.0.0.1:{Loopback.FreePorts()}"]);
    }

    [Fact]
    public Task AddressThatIsNotThere_IsNoMistakeForEver()
        => EndsAsync(1, "Cannot start: S3:Listen: cannot listen on", ["--listen", "192.0.2.1:9000", "--admin", $"127.0.0.1:{Loopback.FreePorts()}"]); // RFC 5737: nobody's

    private static async Task EndsAsync(int code, string said, string[] arguments)
    {
        var data = Directory.CreateTempSubdirectory("proxy-mistake-").FullName;
        try
        {
            var server = Path.Combine(Loopback.Repository, "artifacts", "bin", "Proxy.Server", Loopback.Configuration, "Proxy.Server.dll");
            var ended = await ToolProcess.RunAsync("dotnet", [server, "--data", data, "--nvme", "0", "--memory", "64MiB", .. arguments], TimeSpan.FromMinutes(1), directory: data);
            Assert.Contains(said, ended.Output, StringComparison.Ordinal);
            Assert.DoesNotContain("   at ", ended.Output, StringComparison.Ordinal);
            Assert.Equal(code, ended.ExitCode);
        }
        finally
        {
            Directory.Delete(data, recursive: true);
        }
    }
}
