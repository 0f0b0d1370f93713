using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Proxy.Backends.Remote;
using Proxy.FunctionalTests.Hosting;
using Proxy.S3.Errors;
using Proxy.S3.Objects;

namespace Proxy.FunctionalTests.Faults;

public sealed class RemoteTlsTests : IAsyncLifetime
{
    private readonly string _folder = Directory.CreateTempSubdirectory("proxy-tls-").FullName;
    private FaultyBackend _faulty = null!;

    private string CaFile => Path.Combine(_folder, "ca.pem");

    public async ValueTask InitializeAsync()
    {
        using var certificate = SelfSigned();
        await File.WriteAllTextAsync(CaFile, certificate.ExportCertificatePem());
        _faulty = await FaultyBackend.StartAsync(X509CertificateLoader.LoadPkcs12(certificate.Export(X509ContentType.Pfx), null), 0, "data");
        _faulty.Store.TryPut("data", "k", FaultyObject.Of([1, 2, 3]));
    }

    public async ValueTask DisposeAsync()
    {
        await _faulty.DisposeAsync();
        Directory.Delete(_folder, recursive: true);
    }

    [Fact]
    public async Task Head_AuthorityIsGiven_IsAnswered()
        => Assert.Equal(3, (await HeadAsync(new RemoteTlsOptions { CaFile = CaFile })).Size);

    [Fact]
    public async Task Head_CertificateNobodyVouchesFor_IsRefused()
        => Assert.Equal(S3ErrorCode.SlowDown, (await Assert.ThrowsAsync<S3Exception>(() => HeadAsync(new RemoteTlsOptions()))).Code);

    [Fact]
    public async Task Head_AnotherAuthority_IsRefused()
    {
        using var other = SelfSigned();
        await File.WriteAllTextAsync(CaFile, other.ExportCertificatePem());

        Assert.Equal(S3ErrorCode.SlowDown, (await Assert.ThrowsAsync<S3Exception>(() => HeadAsync(new RemoteTlsOptions { CaFile = CaFile }))).Code);
        Assert.Empty(_faulty.Requests);
    }

    [Fact]
    public async Task Head_VerificationSwitchedOff_IsAnswered()
        => Assert.Equal(3, (await HeadAsync(new RemoteTlsOptions { InsecureSkipVerify = true })).Size);

    [Fact]
    public async Task Head_CertificateHasExpired_IsRefused()
    {
        using var expired = SelfSigned(until: DateTimeOffset.UtcNow.AddHours(-1));
        await File.WriteAllTextAsync(CaFile, expired.ExportCertificatePem());
        await _faulty.DisposeAsync();
        _faulty = await FaultyBackend.StartAsync(X509CertificateLoader.LoadPkcs12(expired.Export(X509ContentType.Pfx), null), 0, "data");

        Assert.Equal(S3ErrorCode.SlowDown, (await Assert.ThrowsAsync<S3Exception>(() => HeadAsync(new RemoteTlsOptions { CaFile = CaFile }))).Code);
        Assert.Empty(_faulty.Requests);
    }

    [Fact]
    public async Task Head_ClientCertificate_IsShown()
    {
        using var own = SelfSigned();
        var file = Path.Combine(_folder, "client.pem");
        await File.WriteAllTextAsync(file, own.ExportCertificatePem() + "\n" + own.GetRSAPrivateKey()!.ExportPkcs8PrivateKeyPem());
        Assert.Equal(3, (await HeadAsync(new RemoteTlsOptions { CaFile = CaFile, ClientCertificateFile = file })).Size);
        Assert.Contains(own.Thumbprint, _faulty.ClientCertificates);
    }

    /// <summary>A server that trusts the root alone cannot find what stands between it and the leaf.</summary>
    [Fact]
    public async Task Head_ClientCertificateWithItsIssuers_IsShownWithThem()
    {
        using var root = Certificates.Issue("CN=root", null, authority: true);
        using var between = Certificates.Issue("CN=between", root, authority: true);
        using var leaf = Certificates.Issue("CN=client", between, purpose: Certificates.ClientAuthentication);
        var file = Path.Combine(_folder, "client-chain.pem");
        await File.WriteAllTextAsync(file, $"{leaf.ExportCertificatePem()}\n{between.ExportCertificatePem()}\n{leaf.GetRSAPrivateKey()!.ExportPkcs8PrivateKeyPem()}");
        Assert.Equal(3, (await HeadAsync(new RemoteTlsOptions { CaFile = CaFile, ClientCertificateFile = file })).Size);
        Assert.Contains(leaf.Thumbprint, _faulty.ClientCertificates);
        Assert.Contains(between.Thumbprint, _faulty.ClientIssuers);
    }

    [Fact]
    public async Task Head_CertificateForClientsOnly_IsRefusedAndSaid()
    {
        using var root = Certificates.Issue("CN=root", null, authority: true);
        await File.WriteAllTextAsync(CaFile, root.ExportCertificatePem());
        using var client = Certificates.Issue("CN=client", root, purpose: Certificates.ClientAuthentication);
        using var listener = new TcpListener(IPAddress.Loopback, 0); // Kestrel will not show such a certificate
        listener.Start();
        var serving = ShakeHandsAsync(listener, client);
        Assert.Contains("not meant for servers", await WarningAsync(new RemoteTlsOptions { CaFile = CaFile }, $"https://{listener.LocalEndpoint}"), StringComparison.Ordinal);
        listener.Stop();
        await serving;

        // Control: the same authority's word for a server is taken.
        await ServeAsync(root, Certificates.Issue("CN=server", root, purpose: Certificates.ServerAuthentication));
        Assert.Equal(3, (await HeadAsync(new RemoteTlsOptions { CaFile = CaFile })).Size);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Head_CertificateHasExpired_WarningSaysSo(bool ownAuthority)
    {
        using var root = Certificates.Issue("CN=root", null, authority: true);
        await ServeAsync(root, Certificates.Issue("CN=old", root, until: DateTimeOffset.UtcNow.AddHours(-1)));
        Assert.Contains("has expired", await WarningAsync(new RemoteTlsOptions { CaFile = ownAuthority ? CaFile : null }), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Head_CertificateForAnotherName_WarningSaysWhose(bool ownAuthority)
    {
        using var root = Certificates.Issue("CN=root", null, authority: true);
        await ServeAsync(root, Certificates.Issue("CN=elsewhere", root, name: "elsewhere.example"));
        Assert.Contains("it is for elsewhere.example, not for 127.0.0.1", await WarningAsync(new RemoteTlsOptions { CaFile = ownAuthority ? CaFile : null }), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Head_AuthorityNobodyKnows_WarningSaysSo(bool ownAuthority)
    {
        using var other = Certificates.Issue("CN=another-root", null, authority: true);
        using var root = Certificates.Issue("CN=root", null, authority: true);
        await ServeAsync(root, Certificates.Issue("CN=server", root));
        await File.WriteAllTextAsync(CaFile, other.ExportCertificatePem());
        var warning = await WarningAsync(new RemoteTlsOptions { CaFile = ownAuthority ? CaFile : null });
        Assert.Contains("no authority that is trusted vouches for it (issued by CN=root)", warning, StringComparison.Ordinal);
        Assert.Contains("Tls:CaFile", warning, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Head_NobodyListens_WarningSaysSo()
    {
        await _faulty.DisposeAsync();
        Assert.Contains("the connection was refused", await WarningAsync(new RemoteTlsOptions()), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Head_NameThatDoesNotExist_WarningSaysSo()
        => Assert.Contains("its name cannot be looked up", await WarningAsync(new RemoteTlsOptions(), "http://no-such-name.invalid:9000"), StringComparison.Ordinal);

    private static X509Certificate2 SelfSigned(DateTimeOffset? until = null)
    {
        using var key = RSA.Create(2048);
        var request = new CertificateRequest("CN=faulty", key, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1);
        var names = new SubjectAlternativeNameBuilder();
        names.AddIpAddress(IPAddress.Loopback);
        request.CertificateExtensions.Add(names.Build());
        return request.CreateSelfSigned(DateTimeOffset.UtcNow.AddDays(-1), until ?? DateTimeOffset.UtcNow.AddDays(1));
    }

    private async Task ServeAsync(X509Certificate2 authority, X509Certificate2 certificate)
    {
        await File.WriteAllTextAsync(CaFile, authority.ExportCertificatePem());
        await _faulty.DisposeAsync();
        _faulty = await FaultyBackend.StartAsync(X509CertificateLoader.LoadPkcs12(certificate.Export(X509ContentType.Pfx), null), 0, "data");
        _faulty.Store.TryPut("data", "k", FaultyObject.Of([1, 2, 3]));
        certificate.Dispose();
    }

    /// <summary>A server that shows a certificate to all who come, and does no more.</summary>
    private static async Task ShakeHandsAsync(TcpListener listener, X509Certificate2 certificate)
    {
        using var usable = X509CertificateLoader.LoadPkcs12(certificate.Export(X509ContentType.Pfx), null);
        try
        {
            while (true)
            {
                using var socket = await listener.AcceptSocketAsync();
                await using var tls = new SslStream(new NetworkStream(socket));
                try
                {
                    await tls.AuthenticateAsServerAsync(usable);
                }
                catch (Exception refused) when (refused is IOException or AuthenticationException)
                {
                    // Who came did not like it.
                }
            }
        }
        catch (Exception stopped) when (stopped is SocketException or InvalidOperationException)
        {
            // While it waited for somebody, or while it was busy with the last one.
        }
    }

    private RemoteBackend Connect(RemoteTlsOptions tls, ILoggerFactory loggers, string? url = null)
        => new("tls", new RemoteOptions { Endpoints = [url ?? _faulty.Url], AccessKey = "k", SecretKey = "s", Tls = tls, RetryDelay = TimeSpan.FromMilliseconds(1) }, TimeProvider.System, loggers);

    private async Task<ObjectInfo> HeadAsync(RemoteTlsOptions tls)
    {
        await using var backend = Connect(tls, NullLoggerFactory.Instance);
        return await backend.Source.HeadObjectAsync(new("data", "k"), ObjectReadOptions.Whole, default);
    }

    /// <summary>What stands in the log once reads have failed often enough.</summary>
    private async Task<string> WarningAsync(RemoteTlsOptions tls, string? url = null)
    {
        using var log = new RecordedLog();
        await using var backend = Connect(tls, log, url);
        for (var i = 0; i < 3; i++)
        {
            Assert.Equal(S3ErrorCode.SlowDown, (await Assert.ThrowsAsync<S3Exception>(async () => await backend.Source.HeadObjectAsync(new("data", "k"), ObjectReadOptions.Whole, default))).Code);
        }

        Assert.Empty(_faulty.Requests);
        var (text, cause) = Assert.Single(log.Warnings);
        Assert.NotNull(cause);
        return text;
    }
}
