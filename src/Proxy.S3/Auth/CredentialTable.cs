namespace Proxy.S3.Auth;

/// <summary>The credentials clients may sign with.</summary>
/// <remarks>Thread-safe: <see cref="Replace"/> swaps the whole table at once; a request sees the old one or the new one.</remarks>
public sealed class CredentialTable
{
    private Dictionary<string, Credential> _byKey;

    public CredentialTable(IEnumerable<Credential> credentials) => _byKey = Index(credentials);

    public int Count => Volatile.Read(ref _byKey).Count;

    /// <exception cref="ArgumentException">Two credentials have one access key.</exception>
    public void Replace(IEnumerable<Credential> credentials) => Volatile.Write(ref _byKey, Index(credentials));

    public bool TryGet(ReadOnlySpan<char> accessKey, [System.Diagnostics.CodeAnalysis.NotNullWhen(true)] out Credential? credential)
        => Volatile.Read(ref _byKey).GetAlternateLookup<ReadOnlySpan<char>>().TryGetValue(accessKey, out credential);

    private static Dictionary<string, Credential> Index(IEnumerable<Credential> credentials)
        => credentials.ToDictionary(credential => credential.AccessKey, StringComparer.Ordinal);
}
