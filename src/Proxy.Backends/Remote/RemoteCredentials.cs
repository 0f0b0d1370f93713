using Amazon.Runtime;
using Amazon.Runtime.CredentialManagement;
using Amazon.Runtime.Credentials;
using Proxy.S3.Auth;

namespace Proxy.Backends.Remote;

/// <summary>Who we are at the backend: one chain of keys for the SDK's calls and for signing forwards.</summary>
/// <remarks>Thread-safe. Temporary keys are renewed by the SDK some minutes before they expire.</remarks>
internal sealed class RemoteCredentials
{
    private readonly bool _fixed;

    // The signing keys derived from a secret live in the Credential: a new one only when the keys really changed.
    private volatile Credential? _last;

    public RemoteCredentials(RemoteOptions options)
    {
        Sdk = Create(options);
        _fixed = options.CredentialSource is CredentialSource.Static;
    }

    public AWSCredentials Sdk { get; }

    public ValueTask<Credential> GetAsync()
        => _fixed && _last is { } known ? ValueTask.FromResult(known) : new ValueTask<Credential>(RenewAsync());

    private static AWSCredentials Create(RemoteOptions options)
    {
        switch (options.CredentialSource)
        {
            case CredentialSource.Static:
                return string.IsNullOrEmpty(options.SessionToken)
                    ? new BasicAWSCredentials(options.AccessKey, options.SecretKey)
                    : new SessionAWSCredentials(options.AccessKey, options.SecretKey, options.SessionToken);
            case CredentialSource.Environment:
                return new EnvironmentVariablesAWSCredentials();
            case CredentialSource.Profile:
                var profile = options.Profile ?? "default";
                return new CredentialProfileStoreChain().TryGetAWSCredentials(profile, out var found)
                    ? found
                    : throw new InvalidOperationException($"Credential profile '{profile}' was not found: add it to ~/.aws/credentials, or change CredentialSource.");
            case CredentialSource.Imds:
                return new InstanceProfileAWSCredentials();
            case CredentialSource.WebIdentity:
                return AssumeRoleWithWebIdentityCredentials.FromEnvironmentVariables();
            default:
                return DefaultAWSCredentialsIdentityResolver.GetCredentials();
        }
    }

    private async Task<Credential> RenewAsync()
    {
        var keys = await Sdk.GetCredentialsAsync().ConfigureAwait(false);
        var token = string.IsNullOrEmpty(keys.Token) ? null : keys.Token;
        var last = _last;
        if (last is not null && last.AccessKey == keys.AccessKey && last.SecretKey == keys.SecretKey && last.SessionToken == token)
        {
            return last;
        }

        return _last = new Credential(keys.AccessKey, keys.SecretKey, token);
    }
}
