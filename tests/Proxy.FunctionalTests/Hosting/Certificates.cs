using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace Proxy.FunctionalTests.Hosting;

/// <summary>Authorities and whom they vouch for, made on the spot.</summary>
internal static class Certificates
{
    public const string ServerAuthentication = "1.3.6.1.5.5.7.3.1";
    public const string ClientAuthentication = "1.3.6.1.5.5.7.3.2";

    /// <param name="issuer">With its key; null signs itself.</param>
    /// <param name="name">Null is 127.0.0.1.</param>
    /// <returns>With its key.</returns>
    public static X509Certificate2 Issue(string subject, X509Certificate2? issuer, bool authority = false, string? purpose = null, DateTimeOffset? until = null, string? name = null)
    {
        using var key = RSA.Create(2048);
        var request = new CertificateRequest(subject, key, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(authority, false, 0, critical: true));
        if (purpose is not null)
        {
            request.CertificateExtensions.Add(new X509EnhancedKeyUsageExtension([new Oid(purpose)], critical: false));
        }

        if (!authority)
        {
            var names = new SubjectAlternativeNameBuilder();
            if (name is null)
            {
                names.AddIpAddress(IPAddress.Loopback);
            }
            else
            {
                names.AddDnsName(name);
            }

            request.CertificateExtensions.Add(names.Build());
        }

        if (issuer is null)
        {
            return request.CreateSelfSigned(DateTimeOffset.UtcNow.AddDays(-10), DateTimeOffset.UtcNow.AddDays(10));
        }

        using var signed = request.Create(issuer, DateTimeOffset.UtcNow.AddDays(-5), until ?? new DateTimeOffset(issuer.NotAfter), Guid.NewGuid().ToByteArray());
        return signed.CopyWithPrivateKey(key);
    }
}
