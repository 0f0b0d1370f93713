namespace Proxy.FunctionalTests.Hosting;

/// <summary>A mistake that keeps the proxy from starting is said in a line, and the exit code is that of a configuration which cannot be used.</summary>
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
        var data = Directory.CreateTempSubdirectory("proxy-mistake-").FullName;
        try
        {
            var server = Path.Combine(Loopback.Repository, "artifacts", "bin", "Proxy.Server", Loopback.Configuration, "Proxy.Server.dll");
            var port = Loopback.FreePorts(2);
            string[] own = ["--listen", $"127.0.0.1:{port}", "--admin", $"127.0.0.1:{port + 1}", "--data", data, "--nvme", "0", "--memory", "64MiB"];
            var ended = await ToolProcess.RunAsync("dotnet", [server, .. own, .. arguments], TimeSpan.FromMinutes(1), directory: data);
            Assert.Contains(said, ended.Output, StringComparison.Ordinal);
            Assert.DoesNotContain("   at ", ended.Output, StringComparison.Ordinal);
            Assert.Equal(2, ended.ExitCode);
        }
        finally
        {
            Directory.Delete(data, recursive: true);
        }
    }
}
