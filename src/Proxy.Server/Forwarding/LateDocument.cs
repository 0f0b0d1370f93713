using System.Buffers;
using Proxy.S3.Streaming;

namespace Proxy.Server.Forwarding;

/// <summary>An answer whose document comes late: the white space before it is passed on as it comes, the document when it is whole and has been judged.</summary>
/// <remarks>
/// S3 answers CompleteMultipartUpload, CopyObject and UploadPartCopy with 200 before it has done them, and sends white space every few seconds so that nobody on the way gives
/// up. YARP reads from here: every piece renews its patience as it does the client's. Read by one request; owns the inner stream.
/// </remarks>
/// <param name="begins">Called once, before white space is given out: the answer will be longer than its document.</param>
/// <param name="judge">Given the whole answer and how much of it has been given out. Returns what is still to be given out; the client has seen nothing of it before.</param>
internal sealed class LateDocument(Stream inner, Action begins, Func<ReadOnlyMemory<byte>, int, CancellationToken, ValueTask<ReadOnlyMemory<byte>>> judge) : ForwardOnlyStream
{
    /// <summary>Up to here a DeleteObjects answer fits: a thousand keys of 1024 bytes, escaped.</summary>
    private const int MaxBytes = 8 << 20;

    private readonly ArrayBufferWriter<byte> _whole = new(4 << 10);
    private ReadOnlyMemory<byte>? _rest;
    private int _given;

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        // A zero-byte read asks whether there is something; the copier goes on to a real read either way.
        if (buffer.IsEmpty)
        {
            return 0;
        }

        while (true)
        {
            if (_rest is { } rest)
            {
                var count = Math.Min(buffer.Length, rest.Length);
                rest[..count].CopyTo(buffer);
                _rest = rest[count..];
                return count;
            }

            // Once the document has begun, what stands before it waits with it: a quick answer is given out whole, with its length.
            if (_whole.WrittenCount > _given && IsPrologue(_whole.WrittenSpan))
            {
                if (_given == 0)
                {
                    begins();
                }

                var count = Math.Min(buffer.Length, _whole.WrittenCount - _given);
                _whole.WrittenMemory.Slice(_given, count).CopyTo(buffer);
                _given += count;
                return count;
            }

            var read = await inner.ReadAsync(_whole.GetMemory(4 << 10), cancellationToken);
            if (read == 0)
            {
                _rest = await judge(_whole.WrittenMemory, _given, cancellationToken);
                continue;
            }

            _whole.Advance(read);
            if (_whole.WrittenCount > MaxBytes)
            {
                throw new InvalidDataException($"The backend's answer is longer than {MaxBytes} bytes, which this operation's answer cannot be.");
            }
        }
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            inner.Dispose();
        }

        base.Dispose(disposing);
    }

    /// <summary>Whether there is nothing yet but white space and an XML declaration, which comes before it or after it.</summary>
    private static bool IsPrologue(ReadOnlySpan<byte> answer)
    {
        while (answer.IndexOfAnyExcept(" \t\r\n"u8) is var at and >= 0)
        {
            answer = answer[at..];
            if (!answer.StartsWith("<?xml"u8) || answer.IndexOf("?>"u8) is not (var end and >= 0))
            {
                return false;
            }

            answer = answer[(end + 2)..];
        }

        return true;
    }
}
