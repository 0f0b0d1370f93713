using System.Collections.Frozen;
using Proxy.Cache.Blocks;

namespace Proxy.Cache.Tiers;

/// <summary>The contents an operator wants kept. Asked by the tiers when they choose what goes; replaced as a whole.</summary>
/// <remarks>Thread-safe: a reader sees the old set or the new one. Who replaces it keeps it well below the tier's capacity, so that a victim is always left.</remarks>
internal sealed class PinnedContents
{
    private volatile FrozenSet<ContentId> _contents = FrozenSet<ContentId>.Empty;

    public int Count => _contents.Count;

    public bool Contains(ContentId content) => _contents.Contains(content);

    public void Replace(FrozenSet<ContentId> contents) => _contents = contents;
}
