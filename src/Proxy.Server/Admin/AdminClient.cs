using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;

namespace Proxy.Server.Admin;

/// <summary>The command line's side of the admin API.</summary>
internal sealed class AdminClient : IDisposable
{
    private readonly HttpClient _http;

    /// <param name="admin">See <see cref="AddressOf"/>.</param>
    /// <exception cref="AdminClientException"><paramref name="admin"/> is no address.</exception>
    public AdminClient(string admin, string accessKey, string secretKey)
    {
        var address = AddressOf(admin) ?? throw new AdminClientException($"--admin {admin} is neither HOST:PORT nor a URL.");

        // HTTP_PROXY does not count: it would be shown the keys. A check lists a whole collection: minutes, not seconds.
        _http = new HttpClient(new SocketsHttpHandler { UseProxy = false }) { BaseAddress = address, Timeout = TimeSpan.FromMinutes(30) };
        _http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Basic", Convert.ToBase64String(Encoding.UTF8.GetBytes($"{accessKey}:{secretKey}")));
    }

    /// <param name="admin"><c>host:port</c>, which is asked by plain HTTP, or a URL.</param>
    /// <returns>Null when it is neither.</returns>
    public static Uri? AddressOf(string admin)
        => Uri.TryCreate(admin.Contains("://", StringComparison.Ordinal) ? admin : $"http://{admin}", UriKind.Absolute, out var address) && address.Scheme is "http" or "https" ? address : null;

    /// <exception cref="AdminClientException">It does not answer, or refuses; the message says why.</exception>
    public async Task<JsonElement> SendAsync(HttpMethod method, string path, object? body, CancellationToken cancellation)
    {
        try
        {
            using var request = new HttpRequestMessage(method, AdminApi.Root + path);
            if (body is not null)
            {
                request.Content = new StringContent(JsonSerializer.Serialize(body, AdminJson.Options), Encoding.UTF8, "application/json");
            }

            using var answer = await _http.SendAsync(request, cancellation);
            var text = await answer.Content.ReadAsStringAsync(cancellation);
            if (!answer.IsSuccessStatusCode)
            {
                throw new AdminClientException(MessageOf(text) ?? $"{_http.BaseAddress} answered {(int)answer.StatusCode}.");
            }

            return text.Length == 0 ? default : JsonElement.Parse(text);
        }
        catch (Exception e) when (e is HttpRequestException || (e is TaskCanceledException && !cancellation.IsCancellationRequested))
        {
            throw new AdminClientException($"{_http.BaseAddress} does not answer: {e.Message}. Is the proxy running, and is --admin its admin address?");
        }
        catch (JsonException)
        {
            throw new AdminClientException($"{_http.BaseAddress} does not speak the admin API: is --admin the proxy's admin address?");
        }
    }

    public void Dispose() => _http.Dispose();

    private static string? MessageOf(string text)
    {
        try
        {
            return JsonSerializer.Deserialize<ApiError>(text, AdminJson.Options)?.Error;
        }
        catch (JsonException)
        {
            return null;
        }
    }
}

/// <summary>An admin call failed; the message is for the operator.</summary>
internal sealed class AdminClientException(string message) : Exception(message);
