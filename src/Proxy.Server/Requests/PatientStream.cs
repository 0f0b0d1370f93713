using Proxy.S3.Errors;
using Proxy.S3.Streaming;

namespace Proxy.Server.Requests;

/// <summary>A request body that is not waited for without end.</summary>
/// <remarks>Read by one request. What has arrived already costs neither a timer nor a registration.</remarks>
internal sealed class PatientStream(Stream inner, TimeSpan stallTimeout) : ForwardOnlyStream
{
    private readonly CancellationTokenSource _stalled = new();

    /// <exception cref="S3Exception">RequestTimeout 400; the connection ends with it, since the rest of the body may come yet.</exception>
    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        var pending = inner.ReadAsync(buffer, _stalled.Token);
        if (pending.IsCompletedSuccessfully)
        {
            return pending.Result;
        }

        _stalled.CancelAfter(stallTimeout);
        try
        {
            using (cancellationToken.UnsafeRegister(static source => ((CancellationTokenSource)source!).Cancel(), _stalled))
            {
                return await pending;
            }
        }
        catch (OperationCanceledException e) when (_stalled.IsCancellationRequested && !cancellationToken.IsCancellationRequested)
        {
            throw new S3Exception(S3ErrorCode.RequestTimeout, innerException: e) { Headers = [new("Connection", "close")] };
        }
        finally
        {
            _stalled.CancelAfter(Timeout.InfiniteTimeSpan);
        }
    }
}
