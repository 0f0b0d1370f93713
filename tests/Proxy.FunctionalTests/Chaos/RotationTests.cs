using System.Collections.Concurrent;
using System.Globalization;
using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text.Json;
using Proxy.FunctionalTests.Backends;
using Proxy.FunctionalTests.Faults;
using Proxy.FunctionalTests.Hosting;

namespace Proxy.FunctionalTests.Chaos;

/// <summary>A backend's certificate expires, or the proxy's keys there are replaced, while a load runs: no wrong byte, honest errors, and recovery without a restart.</summary>
public sealed class RotationTests : IAsyncLifetime
{
    private const int Workers = 4;

    private readonly string _folder = Directory.CreateTempSubdirectory("proxy-rotation-").FullName;

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public ValueTask DisposeAsync()
    {
        Directory.Delete(_folder, recursive: true);
        return ValueTask.CompletedTask;
    }

    [Fact]
    public async Task Load_CertificateExpires_CachedReadsGoOnAndTheRestComesBackWithTheNextOne()
    {
        using var authority = Authority();
        using var good = Issue(authority, TimeSpan.FromDays(1));
        using var expired = Issue(authority, TimeSpan.FromHours(-1));
        using var renewed = Issue(authority, TimeSpan.FromDays(2));
        var file = Path.Combine(_folder, "ca.pem");
        await File.WriteAllTextAsync(file, authority.ExportCertificatePem());
        await using var backend = await FaultyBackend.StartAsync(good, 0, "a-bucket");
        await using var proxy = await ProxyProcess.StartAsync(
            ["--nvme", "0", "--set", $"Backend:Tls:CaFile={file}", "--set", "Backend:ConnectionLifetime=00:00:00.5", "--set", "Backend:Health:OpenFor=00:00:00.2"], new Uri(backend.Url));
        await using var load = new Load(proxy.Endpoint);
        await load.RunUntilAsync(() => load.Written > 20);
        await load.KeepOneInMemoryAsync();
        Assert.Empty(load.Errors);

        backend.ShowInstead(expired);
        await load.RunUntilAsync(() => load.Errors.Count > 20 && proxy.Log.Contains("it or one that vouches for it has expired", StringComparison.Ordinal));
        Assert.All(load.Errors, error => Assert.Equal("SlowDown", error));
        Assert.True(await load.ReadsFromCacheAsync(), "what is cached was not served");

        backend.ShowInstead(renewed);
        await load.RecoverAsync(proxy);
        await load.EndAsync();
    }

    [Fact]
    public async Task Load_KeysAreReplaced_ErrorsAreHonestAndTheEditEndsThem()
    {
        var (before, after) = (("old-access-key", "old-secret-key-1"), ("new-access-key", "new-secret-key-1"));
        var farFile = Path.Combine(_folder, "far.json");
        var nearFile = Path.Combine(_folder, "near.json");
        WriteFar(before);
        await using var far = await ProxyProcess.StartAsync(["--nvme", "0", "--config", farFile]);
        WriteNear(before);
        await using var proxy = await ProxyProcess.StartAsync(["--nvme", "0", "--config", nearFile]);
        await using var load = new Load(proxy.Endpoint);
        await load.CreateBucketAsync();
        await load.RunUntilAsync(() => load.Written > 20);
        await load.KeepOneInMemoryAsync();

        WriteFar(before, after);
        await LoggedAsync(far);
        await load.RunUntilAsync(() => load.Written > 40);
        Assert.Empty(load.Errors);

        // The old one is taken away before the proxy has the new one: an operator's mistake, or the window between two edits.
        WriteFar(after);
        await load.RunUntilAsync(() => load.Errors.Count > 20);
        Assert.All(load.Errors, error => Assert.True(error is "InvalidAccessKeyId" or "InternalError" or "AccessDenied", error));
        Assert.True(await load.ReadsFromCacheAsync(), "what is cached was not served");

        WriteNear(after);
        await LoggedAsync(proxy);
        await load.RecoverAsync(proxy);
        await load.EndAsync();

        void WriteFar(params (string Access, string Secret)[] keys)
            => File.WriteAllText(farFile, JsonSerializer.Serialize(new { S3 = new { Credentials = keys.Select(one => new { AccessKey = one.Access, SecretKey = one.Secret }) } }));

        void WriteNear((string Access, string Secret) keys)
            => File.WriteAllText(nearFile, JsonSerializer.Serialize(new { Backend = new { Endpoints = new[] { far.Endpoint.GetLeftPart(UriPartial.Authority) }, AccessKey = keys.Access, SecretKey = keys.Secret } }));
    }

    private static async Task LoggedAsync(ProxyProcess proxy)
    {
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(30));
        while (!proxy.Log.Contains("Configuration reloaded; in use now", StringComparison.Ordinal))
        {
            Assert.False(patience.IsCancellationRequested, $"the edit was not taken:\n{proxy.LogTail}");
            await Task.Delay(50);
        }
    }

    private static X509Certificate2 Authority()
    {
        using var key = RSA.Create(2048);
        var request = new CertificateRequest("CN=authority", key, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(certificateAuthority: true, hasPathLengthConstraint: false, 0, critical: true));
        return request.CreateSelfSigned(DateTimeOffset.UtcNow.AddDays(-2), DateTimeOffset.UtcNow.AddDays(3));
    }

    /// <param name="until">From now; may lie in the past.</param>
    private static X509Certificate2 Issue(X509Certificate2 authority, TimeSpan until)
    {
        using var key = RSA.Create(2048);
        var request = new CertificateRequest("CN=rotated", key, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1);
        var names = new SubjectAlternativeNameBuilder();
        names.AddIpAddress(IPAddress.Loopback);
        request.CertificateExtensions.Add(names.Build());
        using var issued = request.Create(authority, DateTimeOffset.UtcNow.AddDays(-1), DateTimeOffset.UtcNow + until, RandomNumberGenerator.GetBytes(8));
        using var made = issued.CopyWithPrivateKey(key);
        return X509CertificateLoader.LoadPkcs12(made.Export(X509ContentType.Pfx), null);
    }

    /// <summary>Each worker writes keys of its own, each once, and reads back what was acknowledged to it, and keys that nobody has read before.</summary>
    private sealed class Load(Uri endpoint) : IAsyncDisposable
    {
        private readonly S3Caller _s3 = new(endpoint);
        private readonly ConcurrentDictionary<string, int> _acknowledged = new(StringComparer.Ordinal);
        private int _next;
        private string _inMemory = "";

        public int Written => _acknowledged.Count;

        public ConcurrentQueue<string> Errors { get; } = new();

        private ConcurrentQueue<string> WrongBytes { get; } = new();

        public async Task CreateBucketAsync() => (await _s3.PutAsync("/a-bucket", [])).Ok();

        public async Task RunUntilAsync(Func<bool> enough)
        {
            using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(60));
            await Task.WhenAll(Enumerable.Range(0, Workers).Select(async worker =>
            {
                var random = new Random(worker);
                while (!enough())
                {
                    Assert.False(patience.IsCancellationRequested, $"{Written} written, {Errors.Count} errors: {string.Join(", ", Errors.Distinct())}");
                    await WriteAsync();
                    if (_acknowledged.Keys.ElementAtOrDefault(random.Next(Math.Max(1, Written))) is { } key)
                    {
                        await ReadAsync(key);
                    }

                    await AskAsync(() => _s3.GetAsync("/a-bucket?list-type=2&max-keys=3"));
                }
            }));
        }

        /// <summary>Reads an immutable key until it is answered from memory: from then on it is, whatever the backend says.</summary>
        public async Task KeepOneInMemoryAsync()
        {
            _inMemory = _acknowledged.Keys.First(one => one.StartsWith("files/", StringComparison.Ordinal));
            for (var i = 0; !await ReadsFromCacheAsync(); i++)
            {
                Assert.True(i < 10, $"{_inMemory} is not kept");
            }
        }

        public async Task<bool> ReadsFromCacheAsync() => (await _s3.GetAsync($"/a-bucket/{_inMemory}")).Ok().Header("X-Cache") == "HIT-MEMORY";

        public async Task RecoverAsync(ProxyProcess proxy)
        {
            using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(20));
            while ((await _s3.PutAsync("/a-bucket/recovered", [1])).Status != HttpStatusCode.OK)
            {
                Assert.False(patience.IsCancellationRequested, $"no recovery without a restart:\n{proxy.LogTail}");
                await Task.Delay(50);
            }
        }

        /// <summary>All is well again, and everything that was acknowledged is there.</summary>
        public async Task EndAsync()
        {
            Errors.Clear();
            var written = Written;
            await RunUntilAsync(() => Written > written + 20);
            await Parallel.ForEachAsync(_acknowledged.Keys, async (key, _) => await ReadAsync(key));
            Assert.Empty(Errors);
            Assert.Empty(WrongBytes);
        }

        public ValueTask DisposeAsync()
        {
            _s3.Dispose();
            return ValueTask.CompletedTask;
        }

        private async Task WriteAsync()
        {
            var seed = Interlocked.Increment(ref _next);
            var key = string.Create(CultureInfo.InvariantCulture, $"{(seed % 2 == 0 ? "files/insert_log/1/2/3/100" : "plain")}/{seed}");
            if (await AskAsync(() => _s3.PutAsync($"/a-bucket/{key}", Content(seed))) is not null)
            {
                _acknowledged[key] = seed;
            }
        }

        private async Task ReadAsync(string key)
        {
            if (await AskAsync(() => _s3.GetAsync($"/a-bucket/{key}")) is { } read && !read.Body.AsSpan().SequenceEqual(Content(_acknowledged[key])))
            {
                WrongBytes.Enqueue(key);
            }
        }

        private async Task<S3Result?> AskAsync(Func<Task<S3Result>> call)
        {
            var answer = await call();
            if (answer.Status == HttpStatusCode.OK)
            {
                return answer;
            }

            Errors.Enqueue(answer.Code ?? answer.Status.ToString());
            return null;
        }

        private static byte[] Content(int seed)
        {
            var bytes = new byte[1500 + (seed * 37 % 20_000)];
            new Random(seed).NextBytes(bytes);
            return bytes;
        }
    }
}
