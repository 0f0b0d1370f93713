namespace Proxy.S3.Auth;

/// <summary>An access key, its secret, and what it may do.</summary>
/// <remarks>Thread-safe. Keeps the signing keys derived from its secret, so that they leave with it when the configuration is reloaded.</remarks>
public sealed class Credential(string accessKey, string secretKey, string? sessionToken = null, AccessPolicy? policy = null)
{
    private SigningKey[] _signingKeys = [];

    public string AccessKey { get; } = accessKey;

    public string SecretKey { get; } = secretKey;

    /// <summary>Of temporary credentials; null otherwise.</summary>
    public string? SessionToken { get; } = sessionToken;

    public AccessPolicy Policy { get; } = policy ?? AccessPolicy.Full;

    /// <summary>The derived key of a day and region; kept once derived.</summary>
    internal SigningKey GetSigningKey(ReadOnlySpan<char> date, ReadOnlySpan<char> region, ReadOnlySpan<char> service)
    {
        var known = Volatile.Read(ref _signingKeys);
        foreach (var key in known)
        {
            if (key.IsFor(date, region, service))
            {
                return key;
            }
        }

        // Today's and yesterday's key of two regions; a race derives one twice, which costs 5 µs and nothing else.
        const int Kept = 4;
        var derived = SigningKey.Derive(SecretKey, date, region, service);
        Volatile.Write(ref _signingKeys, [derived, .. known.AsSpan(0, Math.Min(known.Length, Kept - 1))]);
        return derived;
    }

    public override string ToString() => AccessKey;
}
