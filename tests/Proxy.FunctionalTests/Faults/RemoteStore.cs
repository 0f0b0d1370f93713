using Microsoft.Extensions.Logging.Abstractions;
using Proxy.Backends.Remote;
using Proxy.FunctionalTests.Backends;
using Proxy.S3.Errors;
using Proxy.S3.Objects;

namespace Proxy.FunctionalTests.Faults;

/// <summary>A remote backend before one that fails as it is told, with one object in it.</summary>
public abstract class RemoteStore : IAsyncLifetime
{
    private protected static readonly byte[] Bytes = SeveralBackendsTests.MakeBytes(300_000);

    private protected FaultyBackend Faulty { get; private set; } = null!;

    private protected RemoteBackend Backend { get; private set; } = null!;

    public async ValueTask InitializeAsync()
    {
        Faulty = await FaultyBackend.StartAsync(0, "data");
        Faulty.Store.TryPut("data", "k", FaultyObject.Of(Bytes, new("Content-Type", "application/x-test"), new("x-amz-meta-Fenced", "true"), new("Content-Encoding", "gzip")));
        Backend = Connect(Faulty.Url);
    }

    public async ValueTask DisposeAsync()
    {
        await Backend.DisposeAsync();
        await Faulty.DisposeAsync();
        GC.SuppressFinalize(this);
    }

    private protected static RemoteBackend Connect(params string[] urls) => Connect(TimeProvider.System, urls);

    private protected static RemoteBackend Connect(TimeProvider time, params string[] urls) => Connect(static options => options, time, urls);

    private protected static RemoteBackend Connect(Func<RemoteOptions, RemoteOptions> configure, params string[] urls) => Connect(configure, TimeProvider.System, urls);

    private protected static RemoteBackend Connect(Func<RemoteOptions, RemoteOptions> configure, TimeProvider time, params string[] urls)
        => new("test", configure(new RemoteOptions
        {
            Endpoints = urls,
            AccessKey = "key",
            SecretKey = "secret",
            RetryDelay = TimeSpan.FromMilliseconds(2),
            StallTimeout = TimeSpan.FromMilliseconds(300),
            ResponseTimeout = TimeSpan.FromSeconds(3),
            Health = new BackendHealthOptions { OpenFor = TimeSpan.FromMinutes(5), MaxWait = TimeSpan.FromSeconds(1) },
        }), time, NullLoggerFactory.Instance);

    private protected static byte[] Expected(ByteRange? range)
        => range is not { } asked ? Bytes : asked.TryResolve(Bytes.Length, out var span) ? Bytes[(int)span.Offset..(int)span.End] : [];

    private protected static async Task<byte[]> ReadAsync(ObjectBody body)
    {
        var read = new MemoryStream();
        await body.Content.CopyToAsync(read);
        return read.ToArray();
    }

    private protected static async Task<S3Exception> AssertCodeAsync<T>(S3ErrorCode code, Func<Task<T>> act)
    {
        var refusal = await Assert.ThrowsAsync<S3Exception>(act);
        Assert.True(code == refusal.Code, $"{code} was expected, not {refusal.Code}: {refusal.Message} {refusal.InnerException}");
        return refusal;
    }

    private protected async Task<byte[]> GetAsync(ByteRange? range, RemoteBackend? backend = null)
    {
        await using var body = await (backend ?? Backend).Source.GetObjectAsync(new("data", "k"), new ObjectReadOptions { Range = range }, default);
        return await ReadAsync(body);
    }

    private protected async Task<ObjectInfo> HeadAsync() => await Backend.Source.HeadObjectAsync(new("data", "k"), ObjectReadOptions.Whole, default);
}
