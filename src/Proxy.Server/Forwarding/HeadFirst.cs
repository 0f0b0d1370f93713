using Proxy.S3.Streaming;

namespace Proxy.Server.Forwarding;

/// <summary>Bytes that were read already, then the stream they were read from.</summary>
internal sealed class HeadFirst(ReadOnlyMemory<byte> head, Stream rest) : ForwardOnlyStream
{
    private ReadOnlyMemory<byte> _head = head;

    /// <summary>Makes an answer's content readable from its start again, under the headers it has.</summary>
    public static void PutBack(HttpResponseMessage response, ReadOnlyMemory<byte> head, Stream rest)
    {
        var content = new StreamContent(new HeadFirst(head, rest));
        foreach (var (name, values) in response.Content.Headers.NonValidated)
        {
            content.Headers.TryAddWithoutValidation(name, values);
        }

        response.Content = content;
    }

    public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        if (_head.IsEmpty)
        {
            return rest.ReadAsync(buffer, cancellationToken);
        }

        var count = Math.Min(buffer.Length, _head.Length);
        _head[..count].CopyTo(buffer);
        _head = _head[count..];
        return ValueTask.FromResult(count);
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            rest.Dispose();
        }

        base.Dispose(disposing);
    }
}
