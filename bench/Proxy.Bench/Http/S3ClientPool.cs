using System.Collections.Concurrent;
using Proxy.Bench.Report;

namespace Proxy.Bench.Http;

/// <summary>A bounded number of <see cref="S3Client"/>s, so of connections and of requests in flight.</summary>
/// <remarks>Thread-safe.</remarks>
internal sealed class S3ClientPool(S3Target target, RunReport report, TimeProvider time, int connections) : IDisposable
{
    private readonly SemaphoreSlim _free = new(connections);
    private readonly ConcurrentBag<S3Client> _idle = [];

    public S3Target Target => target;

    /// <summary>Runs <paramref name="work"/> with a client nobody else uses meanwhile, when one is free.</summary>
    public async Task<T> UseAsync<T>(Func<S3Client, Task<T>> work, CancellationToken cancellation)
    {
        await _free.WaitAsync(cancellation);
        var client = _idle.TryTake(out var idle) ? idle : new S3Client(target, report, time);
        try
        {
            return await work(client);
        }
        finally
        {
            _idle.Add(client);
            _free.Release();
        }
    }

    public Task<S3Answer> SendAsync(S3Request request, CancellationToken cancellation)
        => UseAsync(client => client.SendAsync(request, cancellation), cancellation);

    public void Dispose()
    {
        foreach (var client in _idle)
        {
            client.Dispose();
        }

        _free.Dispose();
    }
}
