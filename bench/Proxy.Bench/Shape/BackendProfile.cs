namespace Proxy.Bench.Shape;

/// <summary>How a backend answers, laid over a faster one by <see cref="ShapedBackend"/>.</summary>
/// <param name="FirstByte">Added before the first byte of every answer.</param>
/// <param name="BytesPerSecond">Of one stream, in either direction; 0 is no limit.</param>
/// <param name="RequestsPerSecond">Over it, 503 SlowDown; 0 is no limit.</param>
/// <param name="RefusedShare">Of all requests, answered 503 SlowDown.</param>
internal sealed record BackendProfile(string Name, TimeSpan FirstByte, double BytesPerSecond, double RequestsPerSecond = 0, double RefusedShare = 0)
{
    // The first-byte times make the published search latencies (1.85 ms and 7.96 ms) when the local store's own few tenths are added. The stream
    // rates are ours: one connection of a single-node server on a fast and on a slower disk, and S3's 85-90 MB/s a connection.
    public static IReadOnlyList<BackendProfile> All { get; } =
    [
        new("none", TimeSpan.Zero, 0),
        new("minio-like", TimeSpan.FromMilliseconds(1), 500e6),
        new("rustfs-like", TimeSpan.FromMilliseconds(7), 200e6),
        new("s3-like", TimeSpan.FromMilliseconds(25), 90e6),

        // Far, and nothing else: what the targets of cold and tiered reads speak of.
        new("10ms", TimeSpan.FromMilliseconds(10), 0),
    ];

    public static BackendProfile Find(string name) => All.First(profile => profile.Name == name);

    public override string ToString()
        => $"{Name}: first byte + {FirstByte.TotalMilliseconds:0.#} ms, {(BytesPerSecond > 0 ? $"{BytesPerSecond / 1e6:0} MB/s a stream" : "full speed")}{(RequestsPerSecond > 0 ? $", 503 above {RequestsPerSecond:0} requests/s" : "")}{(RefusedShare > 0 ? $", 503 on {RefusedShare:P0}" : "")}";
}
