using System.Security.Cryptography.X509Certificates;
using Proxy.FunctionalTests.Hosting;
using Proxy.FunctionalTests.Operations.Wire;
using Proxy.Server.Hosting;

namespace Proxy.FunctionalTests.Operations;

/// <summary>Over TLS the transport is Kestrel's own, and knows of no stalled client.</summary>
public sealed class StalledTlsClientTests : IDisposable
{
    private const string Key = "/files/insert_log/1/2/3/4/5";
    private static readonly TimeSpan StallTimeout = TimeSpan.FromSeconds(2);

    private readonly string _folder = Directory.CreateTempSubdirectory("proxy-tls-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public async Task ClientThatTakesNothing_IsLeft()
    {
        await using var server = await ServerInProcess.StartAsync(tls: Certificate(), stallTimeout: StallTimeout);
        await using var s3 = new S3Wire(server.Endpoint, "bucket");
        (await s3.SendAsync("PUT", "")).Expect(200);
        (await s3.PutAsync(Key, new byte[32 << 20])).Expect(200);
        await using var connection = await WireConnection.OpenAsync(server.Endpoint, receiveBufferBytes: 16 << 10);
        await connection.WriteAsync(s3.Encode(new WireRequest("GET", "/bucket" + Key)).Head);
        await connection.HasBegunAsync();
        await Task.Delay(StallTimeout * 3);
        await Assert.ThrowsAnyAsync<IOException>(() => connection.ReadAnswerAsync());
    }

    private TlsOptions Certificate()
    {
        using var certificate = Certificates.Issue("CN=127.0.0.1", null);
        var (certificateFile, keyFile) = (Path.Combine(_folder, "cert.pem"), Path.Combine(_folder, "key.pem"));
        File.WriteAllText(certificateFile, certificate.ExportCertificatePem());
        File.WriteAllText(keyFile, certificate.GetRSAPrivateKey()!.ExportPkcs8PrivateKeyPem());
        return new TlsOptions { CertificateFile = certificateFile, KeyFile = keyFile };
    }
}
