using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography.X509Certificates;

namespace Proxy.FunctionalTests.Hosting;

/// <summary>What the two listeners show of their certificate's file.</summary>
public sealed class ListenerTlsTests
{
    /// <summary>A client that trusts the root alone, and fetches nothing, cannot find what stands between it and the leaf.</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task CertificateWithItsIssuers_ClientTrustsTheRootOnly_IsTaken(bool keyInAFileOfItsOwn)
    {
        var folder = Directory.CreateTempSubdirectory("proxy-chain-").FullName;
        try
        {
            using var root = Certificates.Issue("CN=root", null, authority: true);
            using var between = Certificates.Issue("CN=between", root, authority: true);
            using var leaf = Certificates.Issue("CN=proxy", between, purpose: Certificates.ServerAuthentication);
            var chain = $"{leaf.ExportCertificatePem()}\n{between.ExportCertificatePem()}\n";
            var key = leaf.GetRSAPrivateKey()!.ExportPkcs8PrivateKeyPem();
            string[] files = [Path.Combine(folder, "chain.pem"), Path.Combine(folder, "key.pem")];
            await File.WriteAllTextAsync(files[0], keyInAFileOfItsOwn ? chain : chain + key);
            await File.WriteAllTextAsync(files[1], key);
            await using var proxy = await ProxyProcess.StartAsync(
            [
                "--nvme", "0", "--set", $"S3:Tls:CertificateFile={files[0]}", "--set", $"Admin:Tls:CertificateFile={files[0]}",
                .. keyInAFileOfItsOwn ? (string[])["--set", $"S3:Tls:KeyFile={files[1]}", "--set", $"Admin:Tls:KeyFile={files[1]}"] : [],
            ]);
            foreach (var port in (int[])[proxy.Endpoint.Port, proxy.Admin.Port])
            {
                Assert.Equal(leaf.Thumbprint, await ShakeHandsAsync(port, root));
            }
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    /// <returns>The thumbprint of what is shown, once it is trusted.</returns>
    private static async Task<string> ShakeHandsAsync(int port, X509Certificate2 root)
    {
        using var client = new TcpClient();
        await client.ConnectAsync("127.0.0.1", port);
        await using var tls = new SslStream(client.GetStream());
        await tls.AuthenticateAsClientAsync(new SslClientAuthenticationOptions
        {
            TargetHost = "127.0.0.1",
            CertificateChainPolicy = new X509ChainPolicy
            {
                TrustMode = X509ChainTrustMode.CustomRootTrust,
                CustomTrustStore = { X509CertificateLoader.LoadCertificate(root.RawData) },
                RevocationMode = X509RevocationMode.NoCheck,
                DisableCertificateDownloads = true,
            },
        });
        return tls.RemoteCertificate!.GetCertHashString();
    }
}
