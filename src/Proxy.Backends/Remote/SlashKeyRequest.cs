using Proxy.S3.Auth;

namespace Proxy.Backends.Remote;

/// <summary>A read of a key that begins with a slash.</summary>
/// <remarks>
/// The SDK drops the leading slash of a key, in the URL, or in what it signs, or in both: it would read another object or be refused. Such a request
/// gets the key's own path and our signature.
/// </remarks>
internal static class SlashKeyRequest
{
    public static async Task SignAnewAsync(HttpRequestMessage request, RemoteBackend backend, RemoteEndpoint endpoint, string bucket, string key)
    {
        string[] replaced = ["Authorization", "x-amz-date", "x-amz-content-sha256", "x-amz-security-token"];
        foreach (var name in replaced)
        {
            request.Headers.Remove(name);
        }

        var path = endpoint.PathFor(bucket, Uri.EscapeDataString(key).Replace("%2F", "/", StringComparison.Ordinal));
        var query = request.RequestUri!.Query.TrimStart('?');
        KeyValuePair<string, string>[] signed =
        [
            .. request.Headers.NonValidated.Where(header => header.Key.StartsWith("x-amz-", StringComparison.OrdinalIgnoreCase))
                .Select(header => KeyValuePair.Create(header.Key, header.Value.ToString())),
        ];
        backend.Sign(request, endpoint, bucket, path, query, signed, PayloadHash.Empty, await backend.GetCredentialAsync().ConfigureAwait(false));
    }
}
