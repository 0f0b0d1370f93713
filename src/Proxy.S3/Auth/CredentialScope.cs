namespace Proxy.S3.Auth;

/// <summary>A credential and its scope: <c>AK/20130524/us-east-1/s3/aws4_request</c>.</summary>
internal readonly ref struct CredentialScope
{
    private CredentialScope(ReadOnlySpan<char> accessKey, ReadOnlySpan<char> scope, ReadOnlySpan<char> date, ReadOnlySpan<char> region, ReadOnlySpan<char> service, ReadOnlySpan<char> terminator)
    {
        AccessKey = accessKey;
        Scope = scope;
        Date = date;
        Region = region;
        Service = service;
        Terminator = terminator;
    }

    public ReadOnlySpan<char> AccessKey { get; }

    /// <summary>All but the access key.</summary>
    public ReadOnlySpan<char> Scope { get; }

    /// <summary>Eight digits.</summary>
    public ReadOnlySpan<char> Date { get; }

    public ReadOnlySpan<char> Region { get; }

    public ReadOnlySpan<char> Service { get; }

    public ReadOnlySpan<char> Terminator { get; }

    /// <summary>Read from its end, since an access key may hold slashes.</summary>
    public static bool TryParse(ReadOnlySpan<char> text, out CredentialScope scope)
    {
        scope = default;
        Span<int> slashes = stackalloc int[4];
        var end = text.Length;
        for (var i = 3; i >= 0; i--)
        {
            end = text[..end].LastIndexOf('/');
            if (end <= 0)
            {
                return false;
            }

            slashes[i] = end;
        }

        scope = new CredentialScope(
            text[..slashes[0]],
            text[(slashes[0] + 1)..],
            text[(slashes[0] + 1)..slashes[1]],
            text[(slashes[1] + 1)..slashes[2]],
            text[(slashes[2] + 1)..slashes[3]],
            text[(slashes[3] + 1)..]);
        return scope.Date.Length == 8 && AmzDate.AreDigits(scope.Date);
    }
}
