using System.Text;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using Proxy.Backends.Local;
using Proxy.S3.Errors;
using Proxy.S3.Objects;

namespace Proxy.UnitTests.Local;

/// <summary>A store in a folder of its own that goes with the test, with the few calls every test makes.</summary>
/// <remarks>Without flushing unless asked: no unit test can pull the plug, and the disk under a test run is slow.</remarks>
internal sealed class StoreFixture : IAsyncDisposable
{
    public const string Bucket = "bucket";

    private StoreFixture(LocalOptions options)
    {
        Options = options;
        Store = LocalObjectStore.Open(options, Time, NullLoggerFactory.Instance);
    }

    public FakeTimeProvider Time { get; } = new(new DateTimeOffset(2026, 1, 2, 3, 4, 5, 678, TimeSpan.Zero));

    public LocalOptions Options { get; }

    public LocalObjectStore Store { get; private set; }

    public static async Task<StoreFixture> CreateAsync(Action<LocalOptions>? configure = null)
    {
        var options = new LocalOptions { Directory = Path.Combine(Path.GetTempPath(), "local-store-" + Guid.NewGuid().ToString("n")), MinPartSize = 0, InlineBytes = 16 << 10, Fsync = false };
        configure?.Invoke(options);
        var fixture = new StoreFixture(options);
        await fixture.Store.CreateBucketAsync(Bucket, default);
        return fixture;
    }

    public static ObjectId Id(string key) => new(Bucket, key);

    public static UploadContent Content(byte[] bytes, bool known = true, ObjectChecksums? checksums = null) =>
        new(new MemoryStream(bytes), known ? bytes.Length : null, () => checksums);

    public static byte[] Random(int length, int seed)
    {
        var bytes = new byte[length];
        new Random(seed).NextBytes(bytes);
        return bytes;
    }

    public ValueTask<PutResult> PutAsync(string key, byte[] bytes, PutOptions? options = null) => Store.PutObjectAsync(Id(key), Content(bytes), options ?? new(), default);

    public ValueTask<PutResult> PutAsync(string key, string text, PutOptions? options = null) => PutAsync(key, Encoding.UTF8.GetBytes(text), options);

    public async Task<byte[]> GetAsync(string key, ObjectReadOptions? options = null)
    {
        await using var body = await Store.GetObjectAsync(Id(key), options ?? ObjectReadOptions.Whole, default);
        return await ReadAsync(body);
    }

    public static async Task<byte[]> ReadAsync(ObjectBody body)
    {
        var copy = new MemoryStream();
        await body.Content.CopyToAsync(copy);
        Assert.Equal(body.Span.Length, copy.Length);
        return copy.ToArray();
    }

    public async Task<string> GetTextAsync(string key) => Encoding.UTF8.GetString(await GetAsync(key));

    public static async Task<S3Exception> RefusedAsync(S3ErrorCode code, Func<Task> action)
    {
        var refusal = await Assert.ThrowsAsync<S3Exception>(action);
        Assert.Equal(code.Name, refusal.Code.Name);
        return refusal;
    }

    /// <summary>Body files on disk once nothing is being removed any more.</summary>
    public string[] BodyFiles() => Directory.GetFiles(Path.Combine(Options.Directory, "bodies"), "*", SearchOption.AllDirectories);

    public async Task ReopenAsync()
    {
        await Store.DisposeAsync();
        Store = LocalObjectStore.Open(Options, Time, NullLoggerFactory.Instance);
    }

    public async ValueTask DisposeAsync()
    {
        await Store.DisposeAsync();
        Directory.Delete(Options.Directory, recursive: true);
    }
}
