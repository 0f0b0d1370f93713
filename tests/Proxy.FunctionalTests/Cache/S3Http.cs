using System.Net;
using System.Net.Http.Headers;
using Proxy.FunctionalTests.Hosting;
using Proxy.S3.Auth;

namespace Proxy.FunctionalTests.Cache;

/// <summary>Signed requests to an endpoint, without retries: a test sees what a client sees. Thread-safe.</summary>
internal sealed class S3Http(Uri endpoint) : IDisposable
{
    private static readonly Credential Credential = new(ProxyProcess.AccessKey, ProxyProcess.SecretKey);

    /// <summary>The connection broke before an answer.</summary>
    public const HttpStatusCode NoAnswer = default;

    private readonly RequestSigner _signer = new("us-east-1", TimeProvider.System);
    private readonly HttpClient _http = new(new SocketsHttpHandler { MaxConnectionsPerServer = 4096, PooledConnectionIdleTimeout = TimeSpan.FromSeconds(30) })
    {
        BaseAddress = endpoint,
        Timeout = TimeSpan.FromMinutes(5),
    };

    /// <summary>The answer's head; its body is still to be read. The caller disposes it.</summary>
    public Task<HttpResponseMessage> SendAsync(HttpMethod method, string target, byte[]? body = null, (long First, long Last)? range = null, string? ifMatch = null, bool signed = true)
        => SendAsync(method, target, body is null ? null : new ByteArrayContent(body), range, ifMatch, signed);

    /// <summary>A PUT whose client vanishes after so many bytes of the body it announced.</summary>
    public async Task PutAndVanishAsync(string target, byte[] body, int sent)
    {
        try
        {
            (await SendAsync(HttpMethod.Put, target, new CutContent(body, sent), null, null, signed: true)).Dispose();
        }
        catch (Exception e) when (e is HttpRequestException or IOException)
        {
            // As meant.
        }
    }

    /// <summary>A PUT that the server must refuse: its Content-MD5 is another body's.</summary>
    public async Task<HttpStatusCode> PutDamagedAsync(string target, byte[] body)
    {
        try
        {
            var content = new ByteArrayContent(body);
            content.Headers.ContentMD5 = new byte[16];
            using var response = await SendAsync(HttpMethod.Put, target, content, null, null, signed: true);
            return response.StatusCode;
        }
        catch (Exception e) when (e is HttpRequestException or IOException)
        {
            return NoAnswer;
        }
    }

    private async Task<HttpResponseMessage> SendAsync(HttpMethod method, string target, HttpContent? content, (long First, long Last)? range, string? ifMatch, bool signed)
    {
        var request = new HttpRequestMessage(method, target) { Content = content };
        if (signed)
        {
            var signature = _signer.Sign(method.Method, target, endpoint.Authority, [], PayloadHash.Unsigned, Credential);
            request.Headers.TryAddWithoutValidation("Authorization", signature.Authorization);
            request.Headers.TryAddWithoutValidation("x-amz-date", signature.AmzDate);
            request.Headers.TryAddWithoutValidation("x-amz-content-sha256", signature.ContentSha256);
        }

        if (range is { } span)
        {
            request.Headers.Range = new RangeHeaderValue(span.First, span.Last);
        }

        if (ifMatch is not null)
        {
            request.Headers.TryAddWithoutValidation("If-Match", ifMatch);
        }

        return await _http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
    }

    /// <summary>Status, ETag, X-Cache and body; the body is null when the connection broke under it or before it.</summary>
    public async Task<Answer> TryAsync(HttpMethod method, string target, byte[]? body = null, (long First, long Last)? range = null, bool signed = true)
    {
        try
        {
            using var response = await SendAsync(method, target, body, range, signed: signed);
            var answer = new Answer(response.StatusCode, response.Headers.ETag?.Tag, response.Headers.TryGetValues("X-Cache", out var values) ? values.First() : null, null);
            try
            {
                return answer with { Body = await response.Content.ReadAsByteArrayAsync() };
            }
            catch (Exception e) when (e is HttpRequestException or IOException)
            {
                return answer;
            }
        }
        catch (Exception e) when (e is HttpRequestException or IOException or TaskCanceledException)
        {
            return new Answer(NoAnswer, null, null, null);
        }
    }

    public async Task<Answer> MustAsync(HttpMethod method, string target, byte[]? body = null)
    {
        var answer = await TryAsync(method, target, body);
        if ((int)answer.Status is < 200 or >= 300)
        {
            Assert.Fail($"{method} {target}: {answer.Status} {System.Text.Encoding.UTF8.GetString(answer.Body ?? [])}");
        }

        return answer;
    }

    public void Dispose() => _http.Dispose();

    /// <param name="Status"><see cref="NoAnswer"/> when the connection broke before one.</param>
    public sealed record Answer(HttpStatusCode Status, string? ETag, string? Cache, byte[]? Body);

    private sealed class CutContent(byte[] body, int sent) : HttpContent
    {
        protected override async Task SerializeToStreamAsync(Stream stream, TransportContext? context)
        {
            await stream.WriteAsync(body.AsMemory(0, sent));
            await stream.FlushAsync();
            throw new IOException("the client vanished");
        }

        protected override bool TryComputeLength(out long length)
        {
            length = body.Length;
            return true;
        }
    }
}
