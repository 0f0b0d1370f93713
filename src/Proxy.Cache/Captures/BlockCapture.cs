using Proxy.Cache.Blocks;
using Proxy.Cache.Fills;
using Proxy.Cache.Metadata;
using Proxy.Cache.Tiers;

namespace Proxy.Cache.Captures;

/// <summary>The bytes of one upload in rented blocks, until it is known what they are.</summary>
/// <remarks>
/// Held until the upload is acknowledged, while the capture budget lasts. When many uploads run at once and it does not, full blocks go to the tiers early, under an
/// id drawn for this upload alone (its ETag, which names blocks otherwise, is not known yet), and the layout names that id. So the budget bounds memory, not what
/// is kept; one block is what any upload may hold beside it. Only when that cannot be had either is everything dropped: half a capture is none.
/// </remarks>
internal sealed class BlockCapture(TierStack tiers, FillBudget budget, CacheCounters counters, int blockSize, TimeProvider time) : UploadCapture
{
    /// <summary>The disk is behind from this <see cref="TierStack.Backlog"/> on.</summary>
    private const double Behind = 1.0 / 16;

    /// <summary>Of the time an upload takes, what it may then be made to wait.</summary>
    private const double PaceShare = 0.1;

    /// <summary>From here on memory may soon have to throw out what the disk has not: beside it a quarter is queued, and three eighths may belong to uploads.</summary>
    private const double FarBehind = 1.0 / 8;

    /// <summary>What an upload may then be made to wait, up to <see cref="BurstWait"/>: where uploads saturate the processors, those that wait leave them to the writer and nothing takes longer.</summary>
    private const double BurstShare = 0.75;

    private static readonly TimeSpan BurstWait = TimeSpan.FromSeconds(1);

    private static readonly TimeSpan PaceStep = TimeSpan.FromMilliseconds(2);

    private readonly long _begunTimestamp = time.GetTimestamp();
    private TimeSpan _waited;

    // Blocks of the upload not yet in the tiers, oldest first; before them, _early blocks are.
    private readonly List<Block> _blocks = [];
    private ContentId? _own;
    private int _early;
    private int _filled;
    private long _length;
    private bool _gaveUp;
    private bool _taken;

    public override long Length => _length;

    /// <summary>Every byte appended is held, or in the tiers.</summary>
    public bool IsWhole => !_gaveUp && !_taken;

    public override void Append(ReadOnlySpan<byte> bytes)
    {
        _length += bytes.Length;
        while (!bytes.IsEmpty && !_gaveUp)
        {
            if (_blocks.Count == 0 || _filled == blockSize)
            {
                if (!TryAddBlock())
                {
                    Drop();
                    return;
                }
            }

            var piece = Math.Min(bytes.Length, blockSize - _filled);
            bytes[..piece].CopyTo(_blocks[^1].Span[_filled..]);
            _filled += piece;
            bytes = bytes[piece..];
        }
    }

    public override ValueTask PaceAsync(CancellationToken cancellation) => IsWhole && MustWait ? WaitAsync(cancellation) : default;

    /// <summary>Hands the blocks to the tiers.</summary>
    /// <param name="content">What their bytes are called, unless some had to leave early.</param>
    /// <returns>What they are called.</returns>
    public ContentId Publish(in ContentId content)
    {
        if (_blocks.Count > 0 && _filled < blockSize)
        {
            _blocks[^1].Trim(_filled);
        }

        var name = _own ?? content;
        HandOver(name);
        _taken = true;
        Interlocked.Increment(ref counters.CapturesKept);
        return name;
    }

    public override void Dispose()
    {
        if (!_taken && !_gaveUp)
        {
            // Refused, broken off, or its key was changed meanwhile.
            Release();
            Interlocked.Increment(ref counters.CapturesAbandoned);
        }
    }

    private bool MustWait
    {
        get
        {
            var backlog = tiers.Backlog;
            if (backlog <= Behind)
            {
                return false;
            }

            var elapsed = time.GetElapsedTime(_begunTimestamp);
            return _waited < elapsed * PaceShare || (backlog > FarBehind && _waited < BurstWait && _waited < elapsed * BurstShare);
        }
    }

    private async ValueTask WaitAsync(CancellationToken cancellation)
    {
        while (MustWait)
        {
            var from = time.GetTimestamp();
            await Task.Delay(PaceStep, time, cancellation);
            var waited = time.GetElapsedTime(from);
            _waited += waited;
            Interlocked.Add(ref counters.CaptureWaitTicks, waited.Ticks);
        }
    }

    private bool TryAddBlock()
    {
        if (!budget.TryReserve(blockSize))
        {
            if (_blocks.Count > 0)
            {
                // All of them are full: only the last block of an upload is short.
                HandOver(_own ??= ContentIds.Draw());
            }

            if (!budget.TryReserveOne(blockSize))
            {
                return false;
            }
        }

        if (!tiers.TryRent(blockSize, out var block))
        {
            budget.Release(blockSize);
            return false;
        }

        _blocks.Add(block);
        _filled = 0;
        return true;
    }

    private void HandOver(in ContentId name)
    {
        foreach (var block in _blocks)
        {
            // Before each publish: the reference is the tier's afterwards.
            budget.Release(blockSize);
            tiers.Publish(new BlockId(name, _early++), block, Admission.Always);
        }

        _blocks.Clear();
    }

    private void Drop()
    {
        Release();
        Interlocked.Increment(ref counters.CapturesDropped);
    }

    private void Release()
    {
        _gaveUp = true;
        foreach (var block in _blocks)
        {
            budget.Release(blockSize);
            block.Release();
        }

        _blocks.Clear();
        for (var number = 0; number < _early; number++)
        {
            tiers.Remove(new BlockId(_own!.Value, number));
        }
    }
}
