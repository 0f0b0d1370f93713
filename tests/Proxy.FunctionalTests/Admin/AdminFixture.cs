using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using Proxy.FunctionalTests.Hosting;
using Proxy.S3.Auth;

namespace Proxy.FunctionalTests.Admin;

/// <summary>A proxy, its admin API and its S3 side, each as a client of its own sees them.</summary>
public sealed class AdminFixture(ProxyProcess proxy) : IAsyncDisposable
{
    private static readonly Credential Root = new(ProxyProcess.AccessKey, ProxyProcess.SecretKey);
    private readonly HttpClient _s3 = new() { BaseAddress = proxy.Endpoint };
    private readonly RequestSigner _signer = new("us-east-1", TimeProvider.System);

    public ProxyProcess Proxy { get; } = proxy;

    public HttpClient Api { get; } = ApiOf(proxy, ProxyProcess.AccessKey, ProxyProcess.SecretKey);

    public static async Task<AdminFixture> StartAsync(params string[] arguments) => new(await ProxyProcess.StartAsync(arguments));

    public static HttpClient ApiOf(ProxyProcess proxy, string accessKey, string secretKey)
    {
        var client = new HttpClient { BaseAddress = proxy.Admin };
        client.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Basic", Convert.ToBase64String(Encoding.UTF8.GetBytes($"{accessKey}:{secretKey}")));
        return client;
    }

    public async Task PutAsync(string target, byte[]? body = null)
    {
        using var answer = await S3Async(HttpMethod.Put, target, body ?? []);
        answer.EnsureSuccessStatusCode();
    }

    /// <summary>The object's bytes, and what X-Cache said.</summary>
    public async Task<(byte[] Bytes, string Cache)> GetAsync(string target)
    {
        using var answer = await S3Async(HttpMethod.Get, target, null);
        answer.EnsureSuccessStatusCode();
        return (await answer.Content.ReadAsByteArrayAsync(), answer.Headers.GetValues("X-Cache").Single());
    }

    public Task<JsonElement> AskAsync(string path) => Api.GetFromJsonAsync<JsonElement>("/api/v1" + path);

    public async Task<JsonElement> TellAsync(string path, object body)
    {
        using var answer = await Api.PostAsJsonAsync("/api/v1" + path, body);
        var text = await answer.Content.ReadAsStringAsync();
        Assert.True(answer.IsSuccessStatusCode, text);
        return JsonElement.Parse(text);
    }

    public async Task<double> PercentAsync(string query) => (await AskAsync("/check?" + query)).GetProperty("percent").GetDouble();

    /// <summary>Waits until all of a selection is cached: a client has its last byte a moment before the cache does.</summary>
    public async Task FilledAsync(string query)
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromMinutes(1));
        while (await PercentAsync(query) < 100)
        {
            await Task.Delay(20, limit.Token);
        }
    }

    /// <summary>Asks for a job until <paramref name="until"/> holds: a job is told apart from its progress only by asking.</summary>
    public async Task<JsonElement> JobAsync(string id, Func<JsonElement, bool> until)
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromMinutes(1));
        while (true)
        {
            var job = await AskAsync("/jobs/" + id);
            if (until(job))
            {
                return job;
            }

            await Task.Delay(20, limit.Token);
        }
    }

    public async ValueTask DisposeAsync()
    {
        _s3.Dispose();
        Api.Dispose();
        await Proxy.DisposeAsync();
    }

    private async Task<HttpResponseMessage> S3Async(HttpMethod method, string target, byte[]? body)
    {
        var request = new HttpRequestMessage(method, target);
        if (body is not null)
        {
            request.Content = new ByteArrayContent(body);
        }

        var signed = _signer.Sign(method.Method, target, Proxy.Endpoint.Authority, [], PayloadHash.Unsigned, Root);
        request.Headers.TryAddWithoutValidation("Authorization", signed.Authorization);
        request.Headers.Add("x-amz-date", signed.AmzDate);
        request.Headers.Add("x-amz-content-sha256", signed.ContentSha256);
        return await _s3.SendAsync(request);
    }
}
