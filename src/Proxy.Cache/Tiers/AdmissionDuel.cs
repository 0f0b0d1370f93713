using Proxy.Cache.Blocks;

namespace Proxy.Cache.Tiers;

/// <summary>Whether what a read brought is worth its place on NVMe: all of it, or, where a ring that takes all of it would keep none for long enough, a part.</summary>
/// <remarks>
/// More read round and round than the ring holds is the worst that can be asked of it: oldest out first, each block is gone just before it is wanted again, and every byte
/// is written for nothing. Whoever takes one block in <see cref="OneIn"/> keeps what it has, and hits it in every round. Which of the two rules is the better one now is not
/// guessed but tried out: two <see cref="ShadowRing"/>s follow the same sample of the reads, and the one that hit more lately decides (a duel, as DIP has it for processor
/// caches: Qureshi et al., ISCA 2007). Uploads and warm jobs are written whatever it says: they are read soon.
/// Thread-safe: one lock, taken for sampled blocks only.
/// </remarks>
internal sealed class AdmissionDuel
{
    /// <summary>A sixteenth of the misses changes what is kept within sixteen rounds, and costs it a sixteenth of the hits at the most.</summary>
    private const int OneIn = 16;

    /// <summary>Blocks that a shadow of a full ring holds, about.</summary>
    private const int ShadowBlocks = 1024;

    /// <summary>Sampled reads after which the rules are compared; then each score is halved.</summary>
    private const int Round = ShadowBlocks;

    /// <summary>By how much part must be better than all; and the other way round it need be no worse.</summary>
    private const double Margin = 1.15;

    private const int LeastHits = 16;

    private readonly Func<long> _capacityBytes;
    private readonly int _blockBytes;
    private readonly Lock _lock = new();
    private readonly ShadowRing _all;
    private readonly ShadowRing _part;
    private readonly Random _random;
    private uint _threshold;
    private double _allHits;
    private double _partHits;
    private int _reads;
    private volatile bool _takesPart;
    private long _declined;

    /// <param name="capacityBytes">Of the ring, now; asked once a round.</param>
    /// <param name="blockBytes">Of a usual block.</param>
    /// <param name="reinsertionShare">Of what leaves the ring, goes in again when it was read.</param>
    public AdmissionDuel(Func<long> capacityBytes, int blockBytes, double reinsertionShare, int seed)
    {
        (_capacityBytes, _blockBytes) = (capacityBytes, blockBytes);
        (_all, _part) = (new ShadowRing(reinsertionShare), new ShadowRing(reinsertionShare));
        _random = new Random(seed);
        Resize();
    }

    /// <summary>Only a part of what reads bring is written now.</summary>
    public bool TakesPart => _takesPart;

    /// <summary>Blocks not written for that.</summary>
    public long Declined => Interlocked.Read(ref _declined);

    /// <summary>A block was found on NVMe, or asked of the backend because it was not there.</summary>
    public void Read(in BlockId id)
    {
        if (!IsSampled(id))
        {
            return;
        }

        lock (_lock)
        {
            _allHits += _all.Read(id) ? 1 : 0;
            _partHits += _part.Read(id) ? 1 : 0;
            if (++_reads >= Round)
            {
                Compare_NeedsLock();
            }
        }
    }

    /// <summary>A block that reads have brought is worth the disk by every other rule.</summary>
    public void Offered(in BlockId id, int bytes)
    {
        if (IsSampled(id))
        {
            lock (_lock)
            {
                _all.Add(id, bytes);
                if (_part.HasRoomFor(bytes) || _random.Next(OneIn) == 0)
                {
                    _part.Add(id, bytes);
                }
            }
        }
    }

    /// <summary>A block that an upload or a warm job writes.</summary>
    public void Written(in BlockId id, int bytes)
    {
        if (IsSampled(id))
        {
            lock (_lock)
            {
                _all.Add(id, bytes);
                _part.Add(id, bytes);
            }
        }
    }

    /// <summary>Whether a block that is offered is to be written to a ring that is full.</summary>
    public bool Admits()
    {
        if (!_takesPart || Random.Shared.Next(OneIn) == 0)
        {
            return true;
        }

        Interlocked.Increment(ref _declined);
        return false;
    }

    private void Compare_NeedsLock()
    {
        _takesPart = _takesPart ? _partHits > _allHits : _partHits > (_allHits * Margin) + LeastHits;
        (_allHits, _partHits, _reads) = (_allHits / 2, _partHits / 2, 0);
        Resize();
    }

    private void Resize()
    {
        var capacity = _capacityBytes();
        var rate = Math.Min(1, (double)ShadowBlocks * _blockBytes / Math.Max(1, capacity));
        _threshold = (uint)(rate * uint.MaxValue);
        _all.CapacityBytes = _part.CapacityBytes = (long)(capacity * rate);
    }

    // Content ids are hashes already; the number is mixed in, so that a sample is not of whole objects.
    private bool IsSampled(in BlockId id) => (uint)((id.Content.High + ((ulong)(uint)id.Number * 0x9E3779B97F4A7C15)) * 0xD6E8FEB86659FD93 >> 32) <= _threshold;
}
