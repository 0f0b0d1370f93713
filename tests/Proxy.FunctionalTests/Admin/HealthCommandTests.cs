using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Proxy.FunctionalTests.Hosting;

namespace Proxy.FunctionalTests.Admin;

/// <summary><c>health</c> as a container's health check runs it, which does not know how the proxy inside is configured.</summary>
public sealed class HealthCommandTests
{
    [Fact]
    public async Task Health_AdminIsPlain_IsTold()
    {
        await using var proxy = await ProxyProcess.StartAsync(["--nvme", "0"]);
        Assert.Equal(0, await AskAsync(proxy.Admin.Authority));
        Assert.Equal(0, await AskAsync($"http://{proxy.Admin.Authority}"));
        Assert.Equal(1, await AskAsync($"https://{proxy.Admin.Authority}"));
        await proxy.StopAsync();
        Assert.Equal(1, await AskAsync(proxy.Admin.Authority));
    }

    /// <summary>The certificate is for the name that others know the machine by.</summary>
    [Fact]
    public async Task Health_AdminIsTls_IsToldOnLoopback()
    {
        var folder = Directory.CreateTempSubdirectory("proxy-health-").FullName;
        try
        {
            using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
            using var certificate = new CertificateRequest("CN=proxy.example.test", key, HashAlgorithmName.SHA256).CreateSelfSigned(DateTimeOffset.UtcNow.AddDays(-1), DateTimeOffset.UtcNow.AddDays(1));
            await File.WriteAllTextAsync(Path.Combine(folder, "cert.pem"), certificate.ExportCertificatePem());
            await File.WriteAllTextAsync(Path.Combine(folder, "key.pem"), key.ExportPkcs8PrivateKeyPem());
            await using var proxy = await ProxyProcess.StartAsync(["--nvme", "0", "--set", $"Admin:Tls:CertificateFile={folder}/cert.pem", "--set", $"Admin:Tls:KeyFile={folder}/key.pem"]);
            Assert.Equal(0, await AskAsync(proxy.Admin.Authority));
            Assert.Equal(0, await AskAsync($"https://{proxy.Admin.Authority}"));
            Assert.Equal(1, await AskAsync($"http://{proxy.Admin.Authority}"));
            await proxy.StopAsync();
            Assert.Equal(1, await AskAsync(proxy.Admin.Authority));
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    /// <summary>A container's environment often names one, for what lies outside.</summary>
    [Fact]
    public async Task Health_EnvironmentNamesAnHttpProxy_IsNotAskedThroughIt()
    {
        await using var proxy = await ProxyProcess.StartAsync(["--nvme", "0"]);
        using var between = new HttpProxyListener();
        Assert.Equal(0, await AskAsync(proxy.Admin.Authority, between.Environment));
        Assert.Equal(0, between.Connections);
    }

    private static async Task<int> AskAsync(string admin, IReadOnlyDictionary<string, string>? environment = null)
    {
        var server = Path.Combine(Loopback.Repository, "artifacts", "bin", "Proxy.Server", Loopback.Configuration, "Proxy.Server.dll");
        return (await ToolProcess.RunAsync("dotnet", [server, "health", "--admin", admin], TimeSpan.FromMinutes(1), environment)).ExitCode;
    }
}
