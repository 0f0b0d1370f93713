using System.Text.Json;
using Proxy.FunctionalTests.Faults;
using Proxy.FunctionalTests.Hosting;

namespace Proxy.FunctionalTests.Backends;

/// <summary>A proxy over its local store and two remote ones, by a configuration file that a test may edit.</summary>
internal sealed class SeveralBackends : IAsyncDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("proxy-several-").FullName;

    public FaultyBackend First { get; private set; } = null!;

    public FaultyBackend Second { get; private set; } = null!;

    public ProxyProcess Proxy { get; private set; } = null!;

    public S3Caller S3 { get; private set; } = null!;

    public string File => Path.Combine(_folder, "proxy.json");

    /// <param name="configure">The configuration, given both backends.</param>
    public static async Task<SeveralBackends> StartAsync(Func<SeveralBackends, object> configure)
    {
        var several = new SeveralBackends { First = await FaultyBackend.StartAsync(0), Second = await FaultyBackend.StartAsync(0) };
        several.Write(configure(several));
        several.Proxy = await ProxyProcess.StartAsync(["--config", several.File]);
        several.S3 = new S3Caller(several.Proxy.Endpoint);
        return several;
    }

    public static object Remote(FaultyBackend backend, Dictionary<string, string>? bucketMap = null, string secret = "backend-secret", string health = "00:00:01")
        => new { Endpoints = new[] { backend.Url }, AccessKey = "backend-key", SecretKey = secret, BucketMap = bucketMap ?? [], Health = new { OpenFor = health } };

    public void Write(object configuration) => WriteText(JsonSerializer.Serialize(configuration));

    public void WriteText(string text) => System.IO.File.WriteAllText(File, text);

    /// <summary>Waits until the proxy has logged this; the log is all that tells of a reload.</summary>
    public async Task LoggedAsync(string text, int times = 1)
    {
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(30));
        while (Proxy.Log.Split(text).Length <= times)
        {
            Assert.False(patience.IsCancellationRequested, $"'{text}' was not logged {times} times:\n{Proxy.LogTail}");
            await Task.Delay(50);
        }
    }

    public async ValueTask DisposeAsync()
    {
        S3?.Dispose();
        if (Proxy is not null)
        {
            await Proxy.DisposeAsync();
        }

        await First.DisposeAsync();
        await Second.DisposeAsync();
        Directory.Delete(_folder, recursive: true);
    }
}
