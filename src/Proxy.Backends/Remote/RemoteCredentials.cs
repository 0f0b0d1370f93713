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

    /// <exception cref="InvalidOperationException">The source has no keys, and what to do about it.</exception>
    public RemoteCredentials(RemoteOptions options)
    {
        try
        {
            Sdk = Create(options);
        }
        catch (Exception none) when (none is AmazonClientException or AmazonServiceException or ArgumentException)
        {
            throw new InvalidOperationException($"CredentialSource {options.CredentialSource} gives no credentials ({none.Message}): {Remedy(options.CredentialSource)}.", none);
        }

        _fixed = options.CredentialSource is CredentialSource.Static;
    }

    public AWSCredentials Sdk { get; }

    public ValueTask<Credential> GetAsync()
        => _fixed && _last is { } known ? ValueTask.FromResult(known)
         // The SDK may ask a metadata service and wait for it right there: not on a thread that serves connections.
         : new ValueTask<Credential>(Thread.CurrentThread.IsThreadPoolThread ? RenewAsync() : Task.Run(RenewAsync));

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

    private static string Remedy(CredentialSource source) => source switch
    {
        CredentialSource.Environment => "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
        CredentialSource.WebIdentity => "set AWS_WEB_IDENTITY_TOKEN_FILE and AWS_ROLE_ARN",
        _ => "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, add a profile to ~/.aws/credentials, give the machine a role, or choose CredentialSource Static with AccessKey and SecretKey",
    };

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
