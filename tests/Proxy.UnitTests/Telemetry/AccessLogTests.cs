using System.Net;
using System.Text;
using System.Text.Json;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using Prometheus;
using Proxy.Cache;
using Proxy.Cache.Policy;
using Proxy.S3.Requests;
using Proxy.Server.Telemetry;

namespace Proxy.UnitTests.Telemetry;

public sealed class AccessLogTests
{
    [Fact]
    public async Task Append_ARead_WritesEveryField()
    {
        var output = new MemoryStream();
        var registry = Metrics.NewCustomRegistry();
        var time = new FakeTimeProvider(new DateTimeOffset(2026, 1, 2, 3, 4, 5, 678, TimeSpan.Zero));
        await using (var log = new AccessLog("-", output, registry, time, NullLogger<AccessLog>.Instance))
        {
            log.Append(RequestMetricsTests.Record(CacheOutcome.HitNvme, MilvusKind.Index, 4096) with
            {
                Client = IPAddress.Parse("::ffff:10.1.2.3"),
                User = "milvus",
                Target = S3Target.Parse("/a-bucket/files/a%22b%0A%C3%A4", host: null, Addressing.PathStyle),
                Backend = TimeSpan.FromMilliseconds(0.5),
            });
        }

        var text = Encoding.UTF8.GetString(output.ToArray());
        Assert.Equal(
            "{\"time\":\"2026-01-02T03:04:05.678Z\",\"client\":\"10.1.2.3\",\"user\":\"milvus\",\"method\":\"GET\",\"operation\":\"GetObject\",\"bucket\":\"a-bucket\","
            + "\"key\":\"files/a\\\"b\\nä\",\"status\":200,\"bytes\":4096,\"duration_ms\":2,\"ttfb_ms\":1,\"x_cache\":\"HIT-NVME\",\"backend_ms\":0.5,\"request_id\":\"id\"}\n",
            text);
        using var json = JsonDocument.Parse(text);
        Assert.Equal("files/a\"b\nä", json.RootElement.GetProperty("key").GetString());
    }

    [Fact]
    public async Task Append_RequestWithoutATarget_LeavesOutWhatItHasNot()
    {
        var output = new MemoryStream();
        await using (var log = new AccessLog("-", output, Metrics.NewCustomRegistry(), TimeProvider.System, NullLogger<AccessLog>.Instance))
        {
            log.Append(RequestMetricsTests.Record(null, MilvusKind.Other, 0) with { Status = 400, ErrorCode = "InvalidURI" });
        }

        using var json = JsonDocument.Parse(output.ToArray());
        Assert.Equal("InvalidURI", json.RootElement.GetProperty("error").GetString());
        Assert.Equal(["bucket", "key", "x_cache", "user", "received"], ((string[])["bucket", "key", "x_cache", "user", "received"]).Where(name => !json.RootElement.TryGetProperty(name, out _)));
    }

    [Fact]
    public async Task Append_DiskThatHangs_DropsLinesAndNeverWaits()
    {
        using var disk = new HangingStream();
        var registry = Metrics.NewCustomRegistry();
        var log = new AccessLog("-", disk, registry, TimeProvider.System, NullLogger<AccessLog>.Instance);
        var record = RequestMetricsTests.Record(CacheOutcome.HitMemory, MilvusKind.Other, 1);
        log.Append(record);
        await disk.Reached;

        // This returns at all only because nothing in Append waits for the disk.
        const int Further = AccessLog.QueueLength + 500;
        for (var i = 0; i < Further; i++)
        {
            log.Append(record);
        }

        Assert.Contains("s3_proxy_access_log_lines_total{result=\"dropped\"} 500\n", await RequestMetricsTests.PageAsync(registry), StringComparison.Ordinal);
        disk.GoOn();
        await log.DisposeAsync();
        Assert.Contains($"s3_proxy_access_log_lines_total{{result=\"written\"}} {AccessLog.QueueLength + 1}\n", await RequestMetricsTests.PageAsync(registry), StringComparison.Ordinal);
        Assert.Equal(AccessLog.QueueLength + 1, disk.Lines);
    }

    [Fact]
    public async Task Append_DiskThatFails_CountsLostLinesAndGoesOn()
    {
        var registry = Metrics.NewCustomRegistry();
        await using (var log = new AccessLog("-", new FailingStream(), registry, TimeProvider.System, NullLogger<AccessLog>.Instance))
        {
            log.Append(RequestMetricsTests.Record(null, MilvusKind.Other, 0));
        }

        Assert.Contains("s3_proxy_access_log_lines_total{result=\"failed\"} 1\n", await RequestMetricsTests.PageAsync(registry), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Append_DiskThatTakesAPart_LeavesNoBrokenLine()
    {
        using var disk = new FillingStream();
        await using (var log = new AccessLog("-", disk, Metrics.NewCustomRegistry(), TimeProvider.System, NullLogger<AccessLog>.Instance))
        {
            log.Append(RequestMetricsTests.Record(null, MilvusKind.Other, 0) with { Operation = S3Operation.ListObjectsV2, ErrorCode = new string('x', 1000) });
            await disk.Filled;
            log.Append(RequestMetricsTests.Record(null, MilvusKind.Other, 0));
        }

        using var json = JsonDocument.Parse(disk.ToArray()); // one line, the second
        Assert.Equal("GetObject", json.RootElement.GetProperty("operation").GetString());
    }

    [Fact]
    public async Task Append_FileEmptiedMeanwhile_GoesOnAtItsBeginning()
    {
        var path = Path.Combine(Path.GetTempPath(), Path.GetRandomFileName());
        await File.WriteAllTextAsync(path, "before\n", TestContext.Current.CancellationToken);
        await using (var log = new AccessLog(path, Metrics.NewCustomRegistry(), TimeProvider.System, NullLogger<AccessLog>.Instance))
        {
            log.Append(RequestMetricsTests.Record(null, MilvusKind.Other, 0));
            await Patience.UntilAsync(() => new FileInfo(path).Length >= 100, () => $"the file has {new FileInfo(path).Length} bytes");

            Assert.StartsWith("before\n{", await ReadAsync(path), StringComparison.Ordinal);
            await using (var emptied = new FileStream(path, FileMode.Open, FileAccess.Write, FileShare.ReadWrite))
            {
                emptied.SetLength(0); // as logrotate's copytruncate does
            }

            log.Append(RequestMetricsTests.Record(null, MilvusKind.Other, 0));
        }

        using var json = JsonDocument.Parse(await ReadAsync(path));
        File.Delete(path);
    }

    private static async Task<string> ReadAsync(string path)
    {
        using var reader = new StreamReader(new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite));
        return await reader.ReadToEndAsync(TestContext.Current.CancellationToken);
    }

    private sealed class HangingStream : MemoryStream
    {
        private readonly TaskCompletionSource _reached = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private readonly TaskCompletionSource _goOn = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public Task Reached => _reached.Task;

        public int Lines { get; private set; }

        public void GoOn() => _goOn.TrySetResult();

        public override async ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
        {
            _reached.TrySetResult();
            await _goOn.Task;
            Lines += buffer.Span.Count((byte)'\n');
        }
    }

    private sealed class FailingStream : MemoryStream
    {
        public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default) => throw new IOException("No space left on device");
    }

    /// <summary>Takes half of the first write, and all of every further one.</summary>
    private sealed class FillingStream : MemoryStream
    {
        private readonly TaskCompletionSource _filled = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public Task Filled => _filled.Task;

        public override async ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
        {
            if (_filled.TrySetResult())
            {
                Write(buffer.Span[..(buffer.Length / 2)]);
                Position -= buffer.Length / 2; // a file's position does not move with what fails
                throw new IOException("No space left on device");
            }

            await base.WriteAsync(buffer, cancellationToken);
        }
    }
}
