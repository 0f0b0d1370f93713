using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Microsoft.Extensions.Logging.Abstractions;
using Proxy.Backends.Remote;
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

    private static X509Certificate2 SelfSigned(DateTimeOffset? until = null)
    {
        using var key = RSA.Create(2048);
        var request = new CertificateRequest("CN=faulty", key, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1);
        var names = new SubjectAlternativeNameBuilder();
        names.AddIpAddress(IPAddress.Loopback);
        request.CertificateExtensions.Add(names.Build());
        return request.CreateSelfSigned(DateTimeOffset.UtcNow.AddDays(-1), until ?? DateTimeOffset.UtcNow.AddDays(1));
    }

    private async Task<ObjectInfo> HeadAsync(RemoteTlsOptions tls)
    {
        var options = new RemoteOptions { Endpoints = [_faulty.Url], AccessKey = "k", SecretKey = "s", Tls = tls, RetryDelay = TimeSpan.FromMilliseconds(1) };
        await using var backend = new RemoteBackend("tls", options, TimeProvider.System, NullLoggerFactory.Instance);
        return await backend.Source.HeadObjectAsync(new("data", "k"), ObjectReadOptions.Whole, default);
    }
}
