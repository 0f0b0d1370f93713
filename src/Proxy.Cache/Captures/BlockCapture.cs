using Proxy.Cache.Blocks;
using Proxy.Cache.Fills;
using Proxy.Cache.Tiers;

namespace Proxy.Cache.Captures;

/// <summary>The bytes of one upload in rented blocks, until it is known what they are.</summary>
/// <remarks>Its memory is bounded twice: by the capture budget, and by what the pool gives. Either refusing drops everything: half a capture is none.</remarks>
internal sealed class BlockCapture(TierStack tiers, FillBudget budget, CacheCounters counters, int blockSize) : UploadCapture
{
    private readonly List<Block> _blocks = [];
    private int _filled;
    private long _length;
    private bool _gaveUp;
    private bool _taken;

    public override long Length => _length;

    /// <summary>Every byte appended is held.</summary>
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

    /// <summary>Hands the blocks to the tiers under their content id.</summary>
    public void PublishAs(ContentId content)
    {
        if (_blocks.Count > 0 && _filled < blockSize)
        {
            _blocks[^1].Trim(_filled);
        }

        for (var number = 0; number < _blocks.Count; number++)
        {
            // Before each publish: the reference is the tier's afterwards.
            budget.Release(blockSize);
            tiers.Publish(new BlockId(content, number), _blocks[number], Admission.Always);
        }

        _taken = true;
        _blocks.Clear();
        Interlocked.Increment(ref counters.CapturesKept);
    }

    public override void Dispose()
    {
        if (!_taken && !_gaveUp)
        {
            Drop();
        }
    }

    private bool TryAddBlock()
    {
        if (!budget.TryReserve(blockSize))
        {
            return false;
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

    private void Drop()
    {
        _gaveUp = true;
        foreach (var block in _blocks)
        {
            budget.Release(blockSize);
            block.Release();
        }

        _blocks.Clear();
        Interlocked.Increment(ref counters.CapturesDropped);
    }
}
