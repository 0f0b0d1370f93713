using System.Buffers;
using System.Runtime.InteropServices;
using System.Threading.Channels;
using Prometheus;

namespace Proxy.Server.Telemetry;

/// <summary>Writes one JSON line a request, off the requests' threads: to standard output, or to a file that is opened anew on SIGHUP.</summary>
/// <remarks>A request never waits: a line that finds the queue full is dropped, and one the disk refuses is lost; both are counted. Thread-safe.</remarks>
internal sealed partial class AccessLog : IAsyncDisposable
{
    /// <summary>Of records waiting; some 3 MiB, half a second of 30,000 requests/s.</summary>
    internal const int QueueLength = 16_384;

    private const string StandardOutput = "-";
    private const int FlushBytes = 64 << 10;
    private static readonly TimeSpan DrainFor = TimeSpan.FromSeconds(5);

    private readonly string _path;
    private readonly Channel<Line> _queue;
    private readonly Counter.Child _written;
    private readonly Counter.Child _dropped;
    private readonly Counter.Child _failed;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly PosixSignalRegistration? _hangUp;
    private readonly Task _writing;
    private volatile bool _reopen;
    private bool _isFailing;

    /// <param name="path"><c>-</c> is standard output.</param>
    /// <exception cref="IOException">The file cannot be opened for appending.</exception>
    public AccessLog(string path, CollectorRegistry registry, TimeProvider time, ILogger<AccessLog> logger)
        : this(path, Open(path), registry, time, logger)
    {
    }

    internal AccessLog(string path, Stream output, CollectorRegistry registry, TimeProvider time, ILogger<AccessLog> logger)
    {
        (_path, _time, _logger) = (path, time, logger);
        var lines = Metrics.WithCustomRegistry(registry).CreateCounter(
            "s3_proxy_access_log_lines_total", "Lines of the access log: written, dropped because the queue was full, or lost because writing failed.", RequestMetrics.Plain("result"));
        (_written, _dropped, _failed) = (lines.WithLabels("written"), lines.WithLabels("dropped"), lines.WithLabels("failed"));
        _queue = Channel.CreateBounded<Line>(new BoundedChannelOptions(QueueLength) { SingleReader = true, FullMode = BoundedChannelFullMode.Wait });
        if (path != StandardOutput && !OperatingSystem.IsWindows())
        {
            _hangUp = PosixSignalRegistration.Create(PosixSignal.SIGHUP, signal =>
            {
                signal.Cancel = true; // log rotation, not a wish to end
                _reopen = true;
            });
        }

        _writing = Task.Run(() => WriteAsync(output));
    }

    /// <summary>Takes the line if there is room; never waits.</summary>
    public void Append(in RequestRecord record)
    {
        if (!_queue.Writer.TryWrite(new Line(_time.GetUtcNow(), record)))
        {
            _dropped.Inc();
        }
    }

    /// <summary>Writes what is queued.</summary>
    public async ValueTask DisposeAsync()
    {
        _queue.Writer.TryComplete();
        await _writing.WaitAsync(DrainFor).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        _hangUp?.Dispose();
    }

    private static Stream Open(string path)
    {
        if (path == StandardOutput)
        {
            return Console.OpenStandardOutput();
        }

        if (Path.GetDirectoryName(Path.GetFullPath(path)) is { } folder)
        {
            Directory.CreateDirectory(folder);
        }

        return new FileStream(path, new FileStreamOptions
        {
            Mode = FileMode.OpenOrCreate, // not Append: that keeps a position of its own, and refuses to write where a file was emptied
            Access = FileAccess.Write,
            Share = FileShare.ReadWrite | FileShare.Delete,
            BufferSize = 0,
        });
    }

    private async Task WriteAsync(Stream output)
    {
        var lines = new ArrayBufferWriter<byte>(2 * FlushBytes);
        var count = 0;
        try
        {
            while (await _queue.Reader.WaitToReadAsync())
            {
                while (_queue.Reader.TryRead(out var line))
                {
                    line.Record.Write(lines, line.Time);
                    count++;
                    if (lines.WrittenCount >= FlushBytes)
                    {
                        output = await FlushAsync(output, lines, count);
                        count = 0;
                    }
                }

                output = await FlushAsync(output, lines, count);
                count = 0;
            }
        }
        finally
        {
            await output.DisposeAsync();
        }
    }

    /// <returns>The stream to go on with: another one after SIGHUP.</returns>
    private async ValueTask<Stream> FlushAsync(Stream output, ArrayBufferWriter<byte> lines, int count)
    {
        long? end = null;
        try
        {
            if (_reopen)
            {
                _reopen = false;
                var next = Open(_path);
                await output.DisposeAsync();
                output = next;
            }

            // Where the file ends now: whoever rotates it by emptying it would find a hole as long as what was there.
            end = output.CanSeek ? output.Seek(0, SeekOrigin.End) : null;
            await output.WriteAsync(lines.WrittenMemory);
            await output.FlushAsync();
            _written.Inc(count);
            _isFailing = false;
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException or ObjectDisposedException)
        {
            _failed.Inc(count);
            TakeBack(output, end);
            if (!_isFailing)
            {
                _isFailing = true; // said once, until a line gets through again
                LogFailed(_path, failure);
            }
        }

        lines.ResetWrittenCount();
        return output;
    }

    /// <summary>A disk that fills takes a part of what it is given: the next line would go on where that one breaks off.</summary>
    private static void TakeBack(Stream output, long? end)
    {
        try
        {
            if (end is { } length && output.Length > length)
            {
                output.SetLength(length);
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ObjectDisposedException or NotSupportedException)
        {
            // Said already: the log cannot be written.
        }
    }

    private readonly record struct Line(DateTimeOffset Time, RequestRecord Record);

    [LoggerMessage(4501, LogLevel.Warning, "The access log {Path} cannot be written; its lines are lost until it can: free space or set Telemetry:AccessLog elsewhere")]
    private partial void LogFailed(string path, Exception failure);
}
