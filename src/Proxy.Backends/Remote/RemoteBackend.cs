using Microsoft.Extensions.Logging;
using Proxy.S3.Objects;

namespace Proxy.Backends.Remote;

/// <summary>One remote backend with everything that is shared by what the proxy asks of it itself and what it forwards.</summary>
/// <remarks>Thread-safe; one per configured backend, for the life of the process.</remarks>
public sealed class RemoteBackend : IAsyncDisposable
{
    public RemoteBackend(string name, RemoteOptions options, TimeProvider time, ILoggerFactory loggers)
    {
        Name = name;
        Options = options;
        Counters = new BackendCounters();
    }

    /// <summary>As configured; a tag of metrics and logs.</summary>
    public string Name { get; }

    public RemoteOptions Options { get; }

    public BackendCounters Counters { get; }

    /// <summary>Reads for the cache and for the proxy itself.</summary>
    public IObjectSource Source => throw new NotSupportedException("Not built yet.");

    /// <summary>The backend's name for a client's bucket.</summary>
    public string MapBucket(string bucket) => Options.BucketMap.GetValueOrDefault(bucket, bucket);

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;
}
