using System.Buffers;
using System.IO.Pipelines;
using System.Runtime.CompilerServices;
using Microsoft.AspNetCore.Connections;
using Proxy.Server.Transport;

namespace Proxy.Server.HotReads;

/// <summary>The input half of a connection: where a request begins, answers it if it is a hit, and shows Kestrel only what is not.</summary>
/// <remarks>
/// Kestrel reads requests one after the other and never ahead of its answer, so its read after the last byte of one is the beginning of the next. While it waits in such a
/// read it takes the connection for idle: so that it does not end it, one request in <see cref="KestrelTurnMilliseconds"/> is Kestrel's whatever it is, and its
/// patience is long; what is idle in truth, the loop ends (<see cref="SocketConnection.IdleSince"/>).
/// Used by one connection.
/// </remarks>
internal sealed class HotReadInput(PipeReader transport, SocketOutput output, HotReadEndpoint reads, SocketConnection connection) : PipeReader
{
    /// <summary>Next to nothing of Kestrel's patience, the rest of which one answer may take: see S3Server's LongestHotRead.</summary>
    private const int KestrelTurnMilliseconds = 10_000;

    /// <summary>After so many reads in a row that were in no tier, only one in <see cref="LookOneIn"/> is looked for: the others' signatures would be checked twice for nothing.</summary>
    private const int PatientMisses = 4;

    private const int LookOneIn = 8;

    private readonly RequestHead _head = new();

    // Plain reads in a row that were not hits, or were not looked for.
    private int _misses;

    // Of the request that Kestrel has: the bytes it has yet to take, or one of RequestExtent's words for not knowing.
    private long _owed;

    // Of a request whose head came in pieces: what came so far, and how much of it Kestrel has taken.
    private ArrayBufferWriter<byte>? _pieces;
    private long _taken;

    private ReadOnlySequence<byte> _shown;
    private long _kestrelsNextTurn = Environment.TickCount64 + KestrelTurnMilliseconds;

    public override ValueTask<ReadResult> ReadAsync(CancellationToken cancellationToken = default) => _owed switch
    {
        0 => AnswerHitsAsync(cancellationToken),
        RequestExtent.Unbounded => transport.ReadAsync(cancellationToken),
        _ => ShowAsync(cancellationToken),
    };

    public override bool TryRead(out ReadResult result)
    {
        var read = transport.TryRead(out result);
        if (read)
        {
            Show(result.Buffer);
        }

        return read;
    }

    public override void AdvanceTo(SequencePosition consumed) => AdvanceTo(consumed, consumed);

    public override void AdvanceTo(SequencePosition consumed, SequencePosition examined)
    {
        if (_owed != RequestExtent.Unbounded)
        {
            var length = _shown.Slice(_shown.Start, consumed).Length;
            _shown = default;
            if (_owed == RequestExtent.NotYetKnown)
            {
                _taken += length;
            }
            else
            {
                // It cannot take more than the request has; if it did, we would not know where we are.
                _owed = length <= _owed ? _owed - length : RequestExtent.Unbounded;
            }
        }

        transport.AdvanceTo(consumed, examined);
    }

    public override void CancelPendingRead() => transport.CancelPendingRead();

    public override void Complete(Exception? exception = null) => transport.Complete(exception);

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<ReadResult> AnswerHitsAsync(CancellationToken cancellation)
    {
        while (true)
        {
            var now = Environment.TickCount64;
            connection.IdleSince = now;
            var result = await transport.ReadAsync(cancellation);
            var buffer = result.Buffer;
            connection.IdleSince = RequestExtent.BeginsWithLineEnd(buffer.FirstSpan) ? now : 0;
            if (result.IsCanceled || buffer.IsEmpty || output.IsGone || now > _kestrelsNextTurn || !_head.TryRead(buffer.FirstSpan) || !TryFind(out var hit))
            {
                Show(buffer);
                return result;
            }

            var read = hit.Read ?? await hit.Opening;
            if (read is null)
            {
                _misses++;
                Show(buffer);
                return result;
            }

            await reads.AnswerAsync(_head, hit, read, output, connection);
            transport.AdvanceTo(buffer.GetPosition(_head.Length));
        }
    }

    private bool TryFind(out HotReadEndpoint.Hit hit)
    {
        hit = default;
        var found = (_misses < PatientMisses || _misses % LookOneIn == 0) && reads.TryFind(_head, out hit);
        _misses = found ? 0 : _misses + 1;
        return found;
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<ReadResult> ShowAsync(CancellationToken cancellation)
    {
        var result = await transport.ReadAsync(cancellation);
        Show(result.Buffer);
        return result;
    }

    private void Show(in ReadOnlySequence<byte> buffer)
    {
        _shown = buffer;
        if (_owed == 0 && !buffer.IsEmpty)
        {
            _kestrelsNextTurn = Environment.TickCount64 + KestrelTurnMilliseconds;
            _owed = RequestExtent.Of(buffer.FirstSpan);
            _taken = 0;
        }

        if (_owed == RequestExtent.NotYetKnown)
        {
            _pieces ??= new ArrayBufferWriter<byte>();
            foreach (var piece in buffer.Slice(_pieces.WrittenCount - _taken))
            {
                _pieces.Write(piece.Span);
                _owed = RequestExtent.Of(_pieces.WrittenSpan);
                if (_owed != RequestExtent.NotYetKnown)
                {
                    _owed -= _owed == RequestExtent.Unbounded ? 0 : _taken;
                    _pieces = null;
                    return;
                }
            }
        }
    }
}

internal static class HotReadConnections
{
    /// <summary>Puts <see cref="HotReadInput"/> between Kestrel and every connection of our own transport. Must be the last before Kestrel's HTTP.</summary>
    public static void UseHotReads(this IConnectionBuilder listen, HotReadEndpoint reads) => listen.Use(next => connection =>
    {
        var socket = (SocketConnection)connection;
        socket.Transport = new SocketConnection.Duplex(new HotReadInput(socket.Input, socket.Output, reads, socket), socket.Output);
        return next(socket);
    });
}
