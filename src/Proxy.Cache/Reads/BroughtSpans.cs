using Proxy.Cache.Fills;
using Proxy.S3.Objects;

namespace Proxy.Cache.Reads;

/// <summary>What fills brought on one read's account: the backend's bytes, also where the read finds them in memory when it comes to them.</summary>
/// <remarks>A part of one <see cref="CachedRead"/>, pooled with it.</remarks>
internal sealed class BroughtSpans
{
    private readonly List<ByteSpan> _spans = [];

    /// <param name="fill">Begun or joined for the read; null when it was not needed.</param>
    /// <param name="position">Where the read is: it never goes back.</param>
    public void Add(Fill? fill, long position)
    {
        if (fill is not null)
        {
            _spans.RemoveAll(span => span.End <= position);
            _spans.Add(new ByteSpan(fill.Start, fill.Bytes));
        }
    }

    public bool Contains(long position)
    {
        foreach (var span in _spans)
        {
            if (position >= span.Offset && position < span.End)
            {
                return true;
            }
        }

        return false;
    }

    public void Clear() => _spans.Clear();
}
