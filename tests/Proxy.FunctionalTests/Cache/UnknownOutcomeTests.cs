using System.Net;
using Proxy.FunctionalTests.Backends;
using Proxy.FunctionalTests.Faults;
using Proxy.FunctionalTests.Hosting;
using Proxy.FunctionalTests.Operations.Wire;
using Proxy.FunctionalTests.Telemetry;

namespace Proxy.FunctionalTests.Cache;

/// <summary>Changes that nobody knows the end of: what they cannot have touched is served as before.</summary>
public sealed class UnknownOutcomeTests : IAsyncLifetime
{
    private const string Bucket = "kept";
    private const string Beside = "beside";
    private const string Key = $"/{Bucket}/files/index_files/1/1/1/1/x";
    private static readonly byte[] Bytes = "immutable"u8.ToArray();
    private FaultyBackend _backend = null!;
    private ProxyProcess _proxy = null!;
    private S3Caller _s3 = null!;

    public async ValueTask InitializeAsync()
    {
        _backend = await FaultyBackend.StartAsync(0, Bucket, Beside);
        _proxy = await ProxyProcess.StartAsync(["--nvme", "0"], new Uri(_backend.Url));
        _s3 = new S3Caller(_proxy.Endpoint);
        (await _s3.PutAsync(Key, Bytes)).Ok();
        Assert.Equal(Bytes, (await _s3.GetAsync(Key)).Ok().Body);
        await IsHitAsync();
    }

    public async ValueTask DisposeAsync()
    {
        _s3.Dispose();
        await _proxy.DisposeAsync();
        await _backend.DisposeAsync();
    }

    [Theory]
    [InlineData("PUT", "?tagging")]
    [InlineData("DELETE", "")]
    public async Task AnotherBucketsChange_BackendUnreachable_AKeyIsStillAHit(string method, string query)
    {
        await _backend.DisposeAsync();
        (await _s3.SendAsync(method, $"/{Beside}{query}", method == "PUT" ? "<Any/>"u8.ToArray() : null)).Is(HttpStatusCode.ServiceUnavailable);
        await IsHitAsync();
        _backend = await FaultyBackend.StartAgainAsync(_backend);
    }

    [Fact]
    public async Task AnotherBucketsChange_BackendFails_AKeyIsStillAHit()
    {
        _backend.Break("*", new Fault { Status = 500 }, times: 1);
        (await _s3.PutAsync($"/{Beside}?tagging", "<Any/>"u8.ToArray())).Is(HttpStatusCode.InternalServerError);
        await IsHitAsync();
    }

    [Fact]
    public async Task AnotherBucketsChange_ClientLeavesBeforeTheAnswer_AKeyIsStillAHit()
    {
        var (arrived, answer) = (new TaskCompletionSource(), new TaskCompletionSource());
        _backend.Arrived = request =>
        {
            arrived.TrySetResult();
            return request.Method == "DELETE" ? answer.Task : Task.CompletedTask;
        };
        await using var wire = new S3Wire(_proxy.Endpoint, Beside);
        await using (var connection = await WireConnection.OpenAsync(_proxy.Endpoint))
        {
            await connection.WriteAsync(wire.Encode(new WireRequest("DELETE", $"/{Beside}")).Head);
            await arrived.Task;
            connection.Reset();
        }

        // Nothing tells when the proxy has seen it go.
        for (var look = 0; look < 20; look++)
        {
            await Task.Delay(50);
            await IsHitAsync();
        }

        answer.SetResult();
    }

    /// <summary>The bucket of a request that is not even sent keeps what is known of it, once the backend is known to be gone; before that, the key is asked for once.</summary>
    [Fact]
    public async Task OwnBucketsChange_BackendKnownToBeUnreachable_AKeyIsStillAHit()
    {
        await _backend.DisposeAsync();
        for (var failures = 0; failures < 10; failures++)
        {
            (await _s3.GetAsync($"/{Bucket}/files/index_files/1/1/1/1/missing")).Is(HttpStatusCode.ServiceUnavailable);
        }

        var refused = await RefusedAsync();
        (await _s3.PutAsync($"/{Bucket}?tagging", "<Any/>"u8.ToArray())).Is(HttpStatusCode.ServiceUnavailable);
        Assert.Equal(refused + 1, await RefusedAsync());
        await IsHitAsync();
        _backend = await FaultyBackend.StartAgainAsync(_backend);
    }

    [Fact]
    public async Task DeleteObjects_NotSent_ItsKeysAreAskedForOnce()
    {
        await _backend.DisposeAsync();
        var document = $"<Delete><Object><Key>{Key[(Bucket.Length + 2)..]}</Key></Object></Delete>";
        (await _s3.SendAsync("POST", $"/{Bucket}?delete=", System.Text.Encoding.UTF8.GetBytes(document))).Is(HttpStatusCode.ServiceUnavailable);
        _backend = await FaultyBackend.StartAgainAsync(_backend);
        for (var patience = 0; (await _s3.GetAsync(Key)).Status == HttpStatusCode.ServiceUnavailable; patience++)
        {
            Assert.True(patience < 100, "It stays away.");
            await Task.Delay(100);
        }

        Assert.Equal(1, Asked());
        await IsHitAsync();
        Assert.Equal(1, Asked());

        int Asked() => _backend.Requests.Count(static request => request.RawTarget.StartsWith(Key, StringComparison.Ordinal));
    }

    private async Task<double> RefusedAsync() => new MetricsPage(await _proxy.ReadMetricsAsync()).Sum("s3_proxy_sheds_total", "reason=\"backend_unreachable\"");

    private async Task IsHitAsync()
    {
        var answer = (await _s3.GetAsync(Key)).Ok();
        Assert.Equal(Bytes, answer.Body);
        Assert.Equal("HIT-MEMORY", answer.Header("X-Cache"));
    }
}
