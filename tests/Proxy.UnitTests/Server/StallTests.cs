using System.IO.Pipelines;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Proxy.Server.Requests;

namespace Proxy.UnitTests.Server;

/// <summary>Slow is not stalled, where nobody sees what of a write the client has taken.</summary>
public sealed class StallTests
{
    private const int BlockBytes = 1 << 20;
    private static readonly TimeSpan Timeout = TimeSpan.FromSeconds(2);

    /// <summary>A client that takes a block in twice the time of one timeout, a little all the time.</summary>
    [Fact]
    public async Task Write_ToAClientThatTakesALittleAllTheTime_IsNotEnded()
    {
        const int Taken = 32 << 10;
        var (request, answer) = Request();
        var taking = Task.Run(async () =>
        {
            for (var taken = 0; taken < BlockBytes; taken += Taken)
            {
                await Task.Delay(Timeout * 2 * Taken / BlockBytes);
                var read = await answer.Pipe.Reader.ReadAtLeastAsync(Taken);
                answer.Pipe.Reader.AdvanceTo(read.Buffer.GetPosition(Taken));
            }
        });
        await Stall.WriteAsync(request, new byte[BlockBytes]);
        await taking;
        Assert.False(answer.IsAborted);
    }

    [Fact]
    public async Task Write_ToAClientThatTakesNothing_EndsItAndThenReturns()
    {
        var (request, answer) = Request();
        Assert.True((await Stall.WriteAsync(request, new byte[BlockBytes])).IsCompleted);
        Assert.True(answer.IsAborted);
    }

    private static (S3Request Request, Answer Answer) Request()
    {
        var answer = new Answer();
        var http = new DefaultHttpContext();
        http.Features.Set<IHttpResponseBodyFeature>(answer);
        http.Features.Set<IHttpRequestLifetimeFeature>(answer);
        var request = new S3Request();
        request.Begin(http, "id");
        request.StallTimeout = Timeout;
        return (request, answer);
    }

    /// <summary>Kestrel's way: what is written waits once 64 KiB are not taken.</summary>
    private sealed class Answer : IHttpResponseBodyFeature, IHttpRequestLifetimeFeature
    {
        public Pipe Pipe { get; } = new(new PipeOptions(pauseWriterThreshold: 64 << 10, resumeWriterThreshold: 32 << 10, useSynchronizationContext: false));

        public bool IsAborted { get; private set; }

        public Stream Stream => Writer.AsStream();

        public PipeWriter Writer => Pipe.Writer;

        public CancellationToken RequestAborted { get; set; }

        public void Abort()
        {
            IsAborted = true;
            Pipe.Reader.Complete();
        }

        public void DisableBuffering()
        {
        }

        public Task StartAsync(CancellationToken cancellationToken = default) => Task.CompletedTask;

        public Task SendFileAsync(string path, long offset, long? count, CancellationToken cancellationToken = default) => throw new NotSupportedException();

        public Task CompleteAsync() => Task.CompletedTask;
    }
}
