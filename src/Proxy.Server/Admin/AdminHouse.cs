using System.Security.Cryptography.X509Certificates;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Proxy.S3.Auth;
using Proxy.Server.Hosting;
using Proxy.Server.WebConsole;

namespace Proxy.Server.Admin;

/// <summary>Puts the admin side together: gate, API and, on top of them, the console.</summary>
internal static class AdminHouse
{
    /// <summary>Serves HTTPS on an admin endpoint when Admin:Tls says so.</summary>
    /// <exception cref="ConfigurationException">The certificate cannot be used.</exception>
    public static void UseAdminTls(this ListenOptions listen, TlsOptions tls)
    {
        if (!tls.Enabled)
        {
            return;
        }

        try
        {
            listen.UseHttps(X509Certificate2.CreateFromPemFile(tls.CertificateFile ?? "", tls.KeyFile));
        }
        catch (Exception e) when (e is IOException or System.Security.Cryptography.CryptographicException or UnauthorizedAccessException or ArgumentException)
        {
            throw new ConfigurationException($"Admin:Tls: certificate {tls.CertificateFile} with key {tls.KeyFile} cannot be used: {e.Message}");
        }
    }

    public static void MapAdmin(this WebApplication app, AdminService admin, CredentialTable credentials, AdminOptions options, History history)
    {
        var access = new AdminAccess(credentials, options, new Sessions(TimeProvider.System, credentials), new SignInLimiter(TimeProvider.System));
        app.UseAdminGate(access);
        app.MapAdminApi(admin);
        app.MapConsole(admin, access, history);
    }
}
