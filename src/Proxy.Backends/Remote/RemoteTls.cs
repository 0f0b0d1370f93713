using System.Globalization;
using System.Net.Security;
using System.Security.Authentication;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace Proxy.Backends.Remote;

/// <summary>TLS towards a backend: which certificates it may show, and which one we do.</summary>
/// <remarks>Made by <see cref="RemoteHttp"/> from <see cref="RemoteTlsOptions"/>; files are read once. A certificate that is refused is explained: the exception says what is wrong with it. Thread-safe.</remarks>
internal sealed class RemoteTls
{
    /// <summary>id-kp-serverAuth, RFC 5280 §4.2.1.12: a certificate that was issued for clients only proves nothing of a server.</summary>
    private const string ServerAuthentication = "1.3.6.1.5.5.7.3.1";

    private readonly RemoteTlsOptions _options;
    private readonly X509Certificate2Collection? _authorities;
    private readonly SslStreamCertificateContext? _own;

    public RemoteTls(RemoteTlsOptions options)
    {
        _options = options;
        if (options is { InsecureSkipVerify: false, CaFile: { } authorities })
        {
            _authorities = [];
            _authorities.ImportFromPemFile(authorities);
        }

        if (options.ClientCertificateFile is { } file)
        {
            // With the issuers that stand behind it in the file: a server that trusts the root alone cannot find them by itself.
            var leaf = X509Certificate2.CreateFromPemFile(file, options.ClientKeyFile);
            X509Certificate2Collection all = [];
            all.ImportFromPemFile(file);
            _own = SslStreamCertificateContext.Create(leaf, [.. all.Where(one => one.Thumbprint != leaf.Thumbprint)], offline: true);
        }
    }

    public SslClientAuthenticationOptions NewOptions()
    {
        var ssl = new SslClientAuthenticationOptions { ClientCertificateContext = _own };
        if (_options.InsecureSkipVerify)
        {
#pragma warning disable CA5359 // What Tls:InsecureSkipVerify asks for by name; off unless somebody turns it on.
            ssl.RemoteCertificateValidationCallback = static (_, _, _, _) => true;
#pragma warning restore CA5359
        }
        else
        {
            ssl.RemoteCertificateValidationCallback = IsTrusted;
        }

        return ssl;
    }

    /// <exception cref="AuthenticationException">In place of false, which would be told without a reason.</exception>
    private bool IsTrusted(object sender, X509Certificate? certificate, X509Chain? chain, SslPolicyErrors errors)
    {
        var host = (sender as SslStream)?.TargetHostName ?? "";
        if (certificate is null)
        {
            throw new AuthenticationException($"{host} shows no certificate.");
        }

        using var leaf = X509CertificateLoader.LoadCertificate(certificate.GetRawCertData());
        var reasons = new List<string>();
        if (errors.HasFlag(SslPolicyErrors.RemoteCertificateNameMismatch))
        {
            reasons.Add($"it is for {Names(leaf)}, not for {host}");
        }

        if (_authorities is null)
        {
            if (errors.HasFlag(SslPolicyErrors.RemoteCertificateChainErrors))
            {
                Explain(leaf, chain?.ChainStatus ?? [], reasons);
            }
        }
        else
        {
            using var own = new X509Chain();
            own.ChainPolicy.TrustMode = X509ChainTrustMode.CustomRootTrust;
            own.ChainPolicy.CustomTrustStore.AddRange(_authorities);
            own.ChainPolicy.RevocationMode = X509RevocationMode.NoCheck;
            own.ChainPolicy.ApplicationPolicy.Add(new Oid(ServerAuthentication));
            foreach (var element in chain?.ChainElements ?? Enumerable.Empty<X509ChainElement>())
            {
                own.ChainPolicy.ExtraStore.Add(element.Certificate);
            }

            if (!own.Build(leaf))
            {
                Explain(leaf, own.ChainStatus, reasons);
            }
        }

        return reasons.Count == 0 ? true : throw new AuthenticationException($"The certificate of {host} ({leaf.Subject}) is refused: {string.Join("; ", reasons)}.");
    }

    private void Explain(X509Certificate2 leaf, X509ChainStatus[] status, List<string> reasons)
    {
        var found = status.Aggregate(X509ChainStatusFlags.NoError, static (all, one) => all | one.Status);
        if (found.HasFlag(X509ChainStatusFlags.NotTimeValid))
        {
            reasons.Add(string.Create(CultureInfo.InvariantCulture, $"it or one that vouches for it has expired or is not valid yet (its own time is {leaf.NotBefore.ToUniversalTime():u} to {leaf.NotAfter.ToUniversalTime():u})"));
        }

        if (found.HasFlag(X509ChainStatusFlags.UntrustedRoot) || found.HasFlag(X509ChainStatusFlags.PartialChain))
        {
            reasons.Add($"no authority that is trusted vouches for it (issued by {leaf.Issuer}): {(_authorities is null ? "name that authority's file in Tls:CaFile" : "Tls:CaFile has not got it, or an issuer between them is not sent")}");
        }

        if (found.HasFlag(X509ChainStatusFlags.NotValidForUsage))
        {
            reasons.Add("it is not meant for servers (extended key usage)");
        }

        if (reasons.Count == 0)
        {
            reasons.Add(found == X509ChainStatusFlags.NoError ? "its chain cannot be verified" : $"{found}");
        }
    }

    private static string Names(X509Certificate2 leaf)
    {
        var names = leaf.Extensions.OfType<X509SubjectAlternativeNameExtension>().SelectMany(static names => names.EnumerateDnsNames().Concat(names.EnumerateIPAddresses().Select(static address => address.ToString()))).ToList();
        return names.Count > 0 ? string.Join(", ", names) : leaf.Subject;
    }
}
