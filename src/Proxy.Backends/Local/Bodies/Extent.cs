namespace Proxy.Backends.Local.Bodies;

/// <summary>A piece of a stored body. Objects and parts are ordered lists of these, so that joining and copying move no bytes.</summary>
/// <param name="Body">The body's number; never used twice in the life of a store.</param>
/// <param name="Offset">Bytes into the body.</param>
/// <param name="Length">Bytes; more than 0.</param>
/// <param name="Inline">The body lives in the index, not in a file of its own.</param>
internal readonly record struct Extent(long Body, long Offset, long Length, bool Inline);

internal static class Extents
{
    /// <summary>The pieces of <paramref name="extents"/> that make up <paramref name="length"/> bytes from <paramref name="offset"/>.</summary>
    public static List<Extent> Slice(IEnumerable<Extent> extents, long offset, long length)
    {
        var pieces = new List<Extent>();
        foreach (var extent in extents)
        {
            if (length == 0)
            {
                break;
            }

            if (offset >= extent.Length)
            {
                offset -= extent.Length;
                continue;
            }

            var take = Math.Min(extent.Length - offset, length);
            pieces.Add(extent with { Offset = extent.Offset + offset, Length = take });
            offset = 0;
            length -= take;
        }

        return pieces;
    }
}
