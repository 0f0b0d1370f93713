using Proxy.Cache.Blocks;
using Proxy.Cache.Fills;
using Proxy.Cache.Metadata;
using Proxy.Cache.Policy;
using Proxy.Cache.Tiers;
using Proxy.S3.Errors;
using Proxy.S3.Objects;

namespace Proxy.Cache.Reads;

/// <summary>A read of one known version: memory blocks, NVMe blocks, bytes of running fills and, past all budgets, a stream of its own, in order.</summary>
/// <remarks>Pooled by <see cref="ReadContext"/>. Used by one request at a time. What may wait once the headers have left is in CachedRead.Waiting.</remarks>
internal sealed partial class CachedRead(ReadContext context) : ObjectRead
{
    // What slips away that often between being seen in a tier and being taken from it, or cannot be taken at all (no memory to read it into), is streamed past the tiers.
    private const int MostLooks = 8;

    private readonly HeldLeases _held = new(context);
    private CatalogEntry? _entry;
    private IObjectSource? _source;
    private ByteSpan _span;
    private bool _isPartial;
    private bool _headOnly;
    private CacheOutcome _outcome;
    private long _position;
    private long _prefetched;

    private readonly BlocksAhead _ahead = new(context);
    private readonly BroughtSpans _brought = new();
    private BlockLease _current;
    private Fill? _fill;
    private readonly OwnStream _stream = new(context);

    private long _fromMemory;
    private long _fromNvme;
    private long _fromBackend;

    // Blocks it has come to so far, and where the last of them ends.
    private int _blocksInMemory;
    private int _blocksNotInMemory;
    private long _countedUntil;

    public override ObjectInfo Info => _entry!.Info!;

    public override ByteSpan Span => _span;

    public override bool IsPartial => _isPartial;

    public override CacheOutcome Outcome => _outcome;

    public override MilvusKind Kind => _entry!.Policy.Kind;

    public override long CachedBytes => _fromMemory + _fromNvme;

    internal CatalogEntry Entry => _entry!;

    public void Begin(CatalogEntry entry, IObjectSource? source, ByteSpan span, bool isPartial, bool headOnly)
    {
        (_entry, _source, _span, _isPartial, _headOnly) = (entry, source, span, isPartial, headOnly);
        (_position, _prefetched) = (span.Offset, span.Offset);
        (_fromMemory, _fromNvme, _fromBackend) = (0, 0, 0);
        (_blocksInMemory, _blocksNotInMemory, _countedUntil) = (0, 0, span.Offset);
    }

    /// <summary>Decides the outcome; from here on the read counts.</summary>
    public void Decide(CacheOutcome outcome)
    {
        _outcome = outcome;
        context.Counters.Count(outcome, _entry!.Policy.Kind, _headOnly);
        Interlocked.Increment(ref context.Counters.OpenReads);
    }

    /// <summary>The hit path: takes leases on everything the span needs, if all of it lies in memory and is small enough to hold.</summary>
    /// <returns>False takes nothing.</returns>
    public bool TryHoldAll() => _held.TryTake(_entry!.Layout, _span);

    /// <inheritdoc cref="HeldLeases.CanBring"/>
    public bool CanBringAll() => _held.CanBring(_entry!.Layout, _span);

    /// <inheritdoc cref="HeldLeases.BringAsync"/>
    public ValueTask<Tier> BringAllAsync() => _held.BringAsync(_entry!.Layout, _span);

    /// <inheritdoc cref="Whereabouts.Of"/>
    public (bool Memory, bool Nvme, bool Missing) Survey() => Whereabouts.Of(context.Tiers, _entry!.Layout, _span);

    /// <summary>Makes sure the first byte can be had before headers are sent: a fill's refusal is still an S3 error here.</summary>
    /// <returns>False when the version changed before any byte left: learn it anew.</returns>
    /// <exception cref="S3Exception">What the backend said, or SlowDown.</exception>
    public async ValueTask<bool> PrepareAsync(CancellationToken cancellation)
    {
        for (var looks = 0; looks < MostLooks; looks++)
        {
            if (IsCached(_position))
            {
                return true;
            }

            var answer = context.Fills.JoinOrStart(_entry!, Remaining, _source!, join: true, out _fill);
            _brought.Add(_fill, _position);
            if (answer == FillAnswer.OverBudget)
            {
                break;
            }

            if (answer == FillAnswer.Cached)
            {
                continue;
            }

            await _fill!.WaitAsync(_position, step: 1, cancellation);
            if (_fill.Received > _position)
            {
                return true;
            }

            var (end, error) = (_fill.End, _fill.Error);
            LeaveFill();
            switch (end)
            {
                case FillEnd.VersionChanged:
                    return false;
                case FillEnd.Failed:
                    throw error ?? new S3Exception(S3ErrorCode.SlowDown, "/" + _entry!.Id);
                case FillEnd.NoMemory:
                    return await TryOpenStreamAsync(TimeSpan.Zero, cancellation);
            }
        }

        return await TryOpenStreamAsync(TimeSpan.Zero, cancellation);
    }

    public override ValueTask<ReadOnlyMemory<byte>> ReadNextAsync(CancellationToken cancellation)
    {
        if (TryReadNext(out var piece) || _position >= _span.End || _headOnly)
        {
            return new ValueTask<ReadOnlyMemory<byte>>(piece);
        }

        return ReadSlowAsync(cancellation);
    }

    public override bool TryReadNext(out ReadOnlyMemory<byte> piece)
    {
        _current.Dispose();
        _current = default;
        piece = default;
        if (_position >= _span.End || _headOnly)
        {
            return false;
        }

        if (_held.TryNext(_position, _span.End, out _current, out piece, out var tier))
        {
            piece = Hand(piece, tier);
            return true;
        }

        if (_fill is null && !_stream.IsOpen && _ahead.Count == 0 && TryLeaseFromMemory())
        {
            piece = Hand(_current.Memory, Tier.Memory);
            return true;
        }

        return false;
    }

    public override async ValueTask DisposeAsync()
    {
        var entry = _entry;
        if (entry is null)
        {
            return;
        }

        _entry = null;
        _held.Release();
        _current.Dispose();
        _current = default;
        _ahead.Clear();
        _brought.Clear();
        LeaveFill();
        await _stream.CloseAsync();
        context.Tiers.CountInMemory(_blocksInMemory, _blocksNotInMemory);
        context.Counters.CountBytes(_outcome, entry.Policy.Kind, _fromMemory, _fromNvme, _fromBackend);
        (entry.Tally ??= context.Collections.TallyOf(entry.Key)).Add(_fromMemory + _fromNvme, _fromBackend);
        Interlocked.Decrement(ref context.Counters.OpenReads);
        _source = null;
        context.Return(this);
    }

    /// <summary>Gives back, synchronously, a read that found nothing to hold.</summary>
    public void Forget()
    {
        _entry = null;
        context.Return(this);
    }

    /// <summary>Gives back a read that was never decided: nothing is counted.</summary>
    public ValueTask AbandonAsync()
    {
        Interlocked.Increment(ref context.Counters.OpenReads);
        return DisposeAsync();
    }

    private ByteSpan Remaining => new(_position, _span.End - _position);

    private bool IsCached(long at)
    {
        var layout = _entry!.Layout;
        return context.Tiers.Contains(layout.BlockAt(at).Id, out _) || context.Tiers.Contains(layout.GranuleAt(at).Id, out _);
    }

    private bool TryLeaseFromMemory()
    {
        var layout = _entry!.Layout;
        var place = layout.BlockAt(_position);
        if (!TryLease(place) && !TryLease(place = layout.GranuleAt(_position)))
        {
            return false;
        }

        var offset = (int)(_position - place.Start);
        _current = _current.Slice(offset, (int)(Math.Min(place.End, _span.End) - _position));
        return true;
    }

    private bool TryLease(in BlockPlace place)
    {
        if (!context.Tiers.TryGetFromMemory(place.Id, out var lease))
        {
            return false;
        }

        if (lease.Length != place.Length)
        {
            lease.Dispose();
            return false;
        }

        _current = lease;
        return true;
    }

    /// <summary>Counts a piece where it was found, unless it lies there because this read had it brought: a miss found nothing.</summary>
    /// <param name="from"><see cref="Tier.None"/> is the backend.</param>
    private ReadOnlyMemory<byte> Hand(ReadOnlyMemory<byte> piece, Tier from)
    {
        if (_outcome == CacheOutcome.Miss || _brought.Contains(_position))
        {
            from = Tier.None;
        }

        // Each block once, by where its first byte came from.
        while (_countedUntil < _position + piece.Length)
        {
            var block = _entry!.Layout.BlockAt(_countedUntil);
            _countedUntil = block.End;
            if (from == Tier.Memory)
            {
                _blocksInMemory++;
            }
            else
            {
                _blocksNotInMemory++;
                context.Tiers.CountOnNvme(block.Id, found: from == Tier.Nvme);
            }
        }

        _position += piece.Length;
        (from == Tier.Memory ? ref _fromMemory : ref from == Tier.Nvme ? ref _fromNvme : ref _fromBackend) += piece.Length;
        return piece;
    }

    private void LeaveFill()
    {
        var fill = _fill;
        _fill = null;
        if (fill is not null)
        {
            FillCoordinator.Leave(fill);
        }
    }
}
