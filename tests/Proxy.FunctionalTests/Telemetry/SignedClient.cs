using Proxy.FunctionalTests.Hosting;
using Proxy.S3.Auth;

namespace Proxy.FunctionalTests.Telemetry;

/// <summary>A bare S3 client that shows every header: SDKs hide X-Cache and retry on their own.</summary>
internal sealed class SignedClient(Uri endpoint) : IDisposable
{
    private readonly HttpClient _http = new() { BaseAddress = endpoint, Timeout = TimeSpan.FromSeconds(30) };
    private readonly RequestSigner _signer = new("us-east-1", TimeProvider.System);

    /// <summary>Requests sent so far.</summary>
    public int Sent { get; private set; }

    /// <param name="secretKey">Another one than the proxy's is refused.</param>
    public async Task<Answer> SendAsync(HttpMethod method, string target, byte[]? body = null, (string Name, string Value)? header = null, string secretKey = ProxyProcess.SecretKey)
    {
        using var request = new HttpRequestMessage(method, new Uri(endpoint, target));
        var signature = _signer.Sign(method.Method, target, endpoint.Authority, [], PayloadHash.Unsigned, new Credential(ProxyProcess.AccessKey, secretKey));
        request.Headers.TryAddWithoutValidation("Authorization", signature.Authorization);
        request.Headers.TryAddWithoutValidation("x-amz-date", signature.AmzDate);
        request.Headers.TryAddWithoutValidation("x-amz-content-sha256", signature.ContentSha256);
        if (header is { } one)
        {
            request.Headers.TryAddWithoutValidation(one.Name, one.Value);
        }

        request.Content = body is null ? null : new ByteArrayContent(body);
        Sent++;
        using var response = await _http.SendAsync(request);
        var bytes = await response.Content.ReadAsByteArrayAsync();
        return new Answer((int)response.StatusCode, bytes, response.Headers.TryGetValues("X-Cache", out var cache) ? Assert.Single(cache) : null, response.Headers.ETag?.ToString());
    }

    public Task<Answer> GetAsync(string target, string? range = null) => SendAsync(HttpMethod.Get, target, header: range is null ? null : ("Range", range));

    public void Dispose() => _http.Dispose();

    public sealed record Answer(int Status, byte[] Body, string? XCache, string? ETag);
}
