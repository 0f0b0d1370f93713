using Proxy.S3.Errors;

namespace Proxy.Server.Requests;

/// <summary>A request body that is not waited for without end.</summary>
/// <remarks>Read by one request.</remarks>
internal sealed class PatientStream(Stream inner, TimeSpan stallTimeout) : Stream
{
    private CancellationTokenSource? _stalled;

    public override bool CanRead => true;

    public override bool CanSeek => false;

    public override bool CanWrite => false;

    public override long Length => throw new NotSupportedException();

    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    /// <exception cref="S3Exception">RequestTimeout 400; the connection ends with it, since the rest of the body may come yet.</exception>
    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        var stalled = _stalled ??= new CancellationTokenSource();
        stalled.CancelAfter(stallTimeout);
        try
        {
            using (cancellationToken.UnsafeRegister(static source => ((CancellationTokenSource)source!).Cancel(), stalled))
            {
                return await inner.ReadAsync(buffer, stalled.Token);
            }
        }
        catch (OperationCanceledException e) when (stalled.IsCancellationRequested && !cancellationToken.IsCancellationRequested)
        {
            throw new S3Exception(S3ErrorCode.RequestTimeout, innerException: e) { Headers = [new("Connection", "close")] };
        }
        finally
        {
            stalled.CancelAfter(Timeout.InfiniteTimeSpan);
        }
    }

    public override Task<int> ReadAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
        ReadAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException("Bodies are read asynchronously.");

    public override void Flush()
    {
    }

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();
}
