using System.Net;
using System.Security.Cryptography;
using System.Text;
using System.Xml.Linq;
using Proxy.FunctionalTests.Hosting;
using Proxy.S3.Auth;

namespace Proxy.FunctionalTests.Backends;

/// <summary>Signed S3 requests as plain HTTP, so that a test sees exactly what was answered. Never repeats one. Thread-safe.</summary>
internal sealed class S3Caller(Uri endpoint, string accessKey = ProxyProcess.AccessKey, string secretKey = ProxyProcess.SecretKey) : IDisposable
{
    private readonly RequestSigner _signer = new("us-east-1", TimeProvider.System);
    private readonly Credential _credential = new(accessKey, secretKey);
    private readonly HttpClient _http = new(new SocketsHttpHandler { UseProxy = false, AllowAutoRedirect = false, MaxConnectionsPerServer = 256 }) { Timeout = TimeSpan.FromSeconds(60) };

    public Task<S3Result> GetAsync(string target, params (string Name, string Value)[] headers) => SendAsync("GET", target, null, headers);

    public Task<S3Result> PutAsync(string target, byte[] body, params (string Name, string Value)[] headers) => SendAsync("PUT", target, body, headers);

    /// <param name="target">Path and query as they stand in the request line.</param>
    public async Task<S3Result> SendAsync(string method, string target, byte[]? body, params (string Name, string Value)[] headers)
    {
        using var request = new HttpRequestMessage(new HttpMethod(method), new Uri(endpoint.GetLeftPart(UriPartial.Authority) + target, new UriCreationOptions { DangerousDisablePathAndQueryCanonicalization = true }));
        if (body is not null)
        {
            request.Content = new ByteArrayContent(body);
        }

        foreach (var (name, value) in headers)
        {
            if (!request.Headers.TryAddWithoutValidation(name, value))
            {
                request.Content!.Headers.TryAddWithoutValidation(name, value);
            }
        }

        var hash = Convert.ToHexStringLower(SHA256.HashData(body ?? []));
        KeyValuePair<string, string>[] signed = [.. headers.Where(h => h.Name.StartsWith("x-amz-", StringComparison.OrdinalIgnoreCase) || h.Name.StartsWith("x-minio-", StringComparison.OrdinalIgnoreCase)).Select(h => KeyValuePair.Create(h.Name, h.Value))];
        var signature = _signer.Sign(method, target, endpoint.Authority, signed, hash, _credential);
        request.Headers.TryAddWithoutValidation("Authorization", signature.Authorization);
        request.Headers.TryAddWithoutValidation("x-amz-date", signature.AmzDate);
        request.Headers.TryAddWithoutValidation("x-amz-content-sha256", signature.ContentSha256);
        using var response = await _http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
        var all = response.Headers.NonValidated.Concat(response.Content.Headers.NonValidated).ToDictionary(h => h.Key, h => h.Value.ToString(), StringComparer.OrdinalIgnoreCase);
        return new S3Result(response.StatusCode, all, await response.Content.ReadAsByteArrayAsync());
    }

    public void Dispose() => _http.Dispose();
}

/// <summary>An answer, read to its end.</summary>
internal sealed record S3Result(HttpStatusCode Status, IReadOnlyDictionary<string, string> Headers, byte[] Body)
{
    public string Text => Encoding.UTF8.GetString(Body);

    /// <summary>The text of every element of that name in the answer's document.</summary>
    public IReadOnlyList<string> All(string element) => [.. XDocument.Parse(Text).Descendants().Where(e => e.Name.LocalName == element).Select(e => e.Value)];

    public string Only(string element) => Assert.Single(All(element));

    /// <summary>Code of an error document; null for everything else.</summary>
    public string? Code => Text.Contains("<Error>", StringComparison.Ordinal) ? All("Code")[0] : null;

    public string? Header(string name) => Headers.GetValueOrDefault(name);

    public S3Result Is(HttpStatusCode status)
    {
        if (Status != status)
        {
            Assert.Fail($"{(int)Status} where {(int)status} was expected: {Text}");
        }

        return this;
    }

    public S3Result Ok() => Is(HttpStatusCode.OK);
}
