using System.Collections.Frozen;
using Proxy.Cache.Blocks;
using Proxy.Cache.Metadata;
using Proxy.Cache.Policy;
using Proxy.Cache.Tiers;

namespace Proxy.Cache.Admin;

/// <summary>The pins and what they mean at this moment: selections on one side, contents the tiers keep on the other.</summary>
/// <remarks>
/// Contents are found anew every few seconds by walking the catalog, once for all pins and only while there are any; so a key written under a pinned prefix
/// is pinned within seconds and a deleted one is let go. Pins beyond the limit are not kept, oldest pins first served: with everything pinned the tier could
/// take nothing in.
/// Thread-safe; one lock, held while the catalog is walked, never by readers.
/// </remarks>
internal sealed class PinTable
{
    private readonly Lock _lock = new();
    private readonly PinFile _file;
    private readonly PinnedContents _pinned;
    private readonly Func<long> _limit;
    private readonly TimeProvider _time;
    private List<Pin> _pins;
    private volatile PinState _state;

    /// <param name="limit">How many bytes may be pinned; asked at each update.</param>
    public PinTable(PinFile file, PinnedContents pinned, Func<long> limit, TimeProvider time)
    {
        (_file, _pinned, _limit, _time) = (file, pinned, limit, time);
        _pins = [.. file.Load()];
        _state = new PinState(0, 0, limit(), 0);
    }

    public IReadOnlyList<Pin> All => Volatile.Read(ref _pins);

    public PinState State => _state;

    /// <summary>The same selection twice is one pin.</summary>
    public Pin Add(KeySelection selection)
    {
        lock (_lock)
        {
            if (_pins.Find(pin => pin.Selection == selection) is { } known)
            {
                return known;
            }

            var pin = new Pin(Convert.ToHexStringLower(System.Security.Cryptography.RandomNumberGenerator.GetBytes(4)), selection, _time.GetUtcNow());
            Replace_NeedsLock([.. _pins, pin]);
            return pin;
        }
    }

    public bool Remove(string id)
    {
        lock (_lock)
        {
            if (!_pins.Exists(pin => pin.Id == id))
            {
                return false;
            }

            Replace_NeedsLock([.. _pins.Where(pin => pin.Id != id)]);
            return true;
        }
    }

    /// <param name="catalog">Everything it knows; gone through once, or not at all.</param>
    public void Update(IEnumerable<CatalogEntry> catalog, ClassRules rules)
    {
        lock (_lock)
        {
            var limit = _limit();
            if (_pins.Count == 0 && _pinned.Count == 0)
            {
                _state = new PinState(0, 0, limit, 0);
                return;
            }

            var contents = new HashSet<ContentId>();
            var (objects, bytes, over) = (0, 0L, 0);
            foreach (var entry in Select(_pins, catalog, rules))
            {
                if (bytes + entry.Size > limit)
                {
                    over++;
                    continue;
                }

                objects++;
                bytes += entry.Size;
                contents.UnionWith(entry.Layout.Extents.Select(extent => extent.Content));
            }

            _pinned.Replace(contents.ToFrozenSet());
            _state = new PinState(objects, bytes, limit, over);
        }
    }

    /// <summary>What the pins select that has bytes, the oldest pin's first; what several select is the oldest one's.</summary>
    private static IEnumerable<CatalogEntry> Select(List<Pin> pins, IEnumerable<CatalogEntry> catalog, ClassRules rules)
    {
        if (pins.Count == 0)
        {
            return [];
        }

        // An index file names its partition and not its collection: whose it is, is known when the walk is over.
        var partitions = pins.Select(pin => pin.Selection).Where(selection => selection.Collection != 0)
            .Select(selection => (selection.Bucket, selection.Collection)).Distinct().ToDictionary(of => of, _ => new HashSet<long>());
        var asksMilvus = pins.Exists(pin => pin.Selection.IsMilvus);
        var candidates = new List<CatalogEntry>();
        foreach (var entry in catalog)
        {
            var milvus = MilvusOf(entry);
            if (milvus is { Partition: not 0 } named && partitions.TryGetValue((entry.Bucket, named.Collection), out var known))
            {
                known.Add(named.Partition);
            }

            if (entry.Size > 0 && pins.Exists(pin => pin.Selection.MayMatch(entry.Bucket, entry.Key, milvus)))
            {
                candidates.Add(entry);
            }
        }

        return candidates
            .Select(entry => (Entry: entry, Pin: pins.FindIndex(pin =>
                pin.Selection.Matches(entry.Bucket, entry.Key, MilvusOf(entry), partitions.GetValueOrDefault((pin.Selection.Bucket, pin.Selection.Collection), [])))))
            .Where(found => found.Pin >= 0)
            .OrderBy(found => found.Pin)
            .Select(found => found.Entry);

        MilvusKey? MilvusOf(CatalogEntry entry) => asksMilvus && rules.TryParseMilvus(entry.Key, out var milvus) ? milvus : null;
    }

    private void Replace_NeedsLock(List<Pin> pins)
    {
        Volatile.Write(ref _pins, pins);
        _file.Save(pins);
    }
}
