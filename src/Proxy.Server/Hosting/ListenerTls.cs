using System.Security.Authentication;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Microsoft.AspNetCore.Server.Kestrel.Core;

namespace Proxy.Server.Hosting;

/// <summary>HTTPS of a listener, S3's or the admin's, with the certificate that its section <c>Tls</c> names.</summary>
internal static class ListenerTls
{
    /// <summary>Does nothing when <paramref name="tls"/> names no files.</summary>
    /// <param name="section">Whose it is, for what is said of a mistake.</param>
    /// <exception cref="ConfigurationException">The certificate cannot be used.</exception>
    public static void UseTls(this ListenOptions listen, TlsOptions tls, string section)
    {
        if (!tls.Enabled)
        {
            return;
        }

        if (tls.CertificateFile is null)
        {
            throw new ConfigurationException($"{section}: set both CertificateFile and KeyFile (PEM), or neither.");
        }

        var keyFile = tls.KeyFile ?? tls.CertificateFile;
        try
        {
            // With the issuers that stand behind it in the file: a client that trusts the root alone cannot find them by itself.
            var leaf = X509Certificate2.CreateFromPemFile(tls.CertificateFile, keyFile);
            X509Certificate2Collection all = [];
            all.ImportFromPemFile(tls.CertificateFile);
            listen.UseHttps(https =>
            {
                https.ServerCertificate = leaf;
                https.ServerCertificateChain = [.. all.Where(one => one.Thumbprint != leaf.Thumbprint)];
                https.SslProtocols = SslProtocols.Tls12 | SslProtocols.Tls13;
            });
        }
        catch (Exception e) when (e is IOException or CryptographicException or UnauthorizedAccessException or ArgumentException)
        {
            throw new ConfigurationException($"{section}: certificate {tls.CertificateFile} with key {keyFile} cannot be used: {e.Message}");
        }
    }
}
