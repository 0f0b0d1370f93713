using Proxy.Cache.Blocks;

namespace Proxy.Cache.Tiers.Nvme;

/// <summary>Reads a range of a record through a buffer: the sectors around the chunks it touches, and nothing else.</summary>
internal static class RecordReader
{
    private const int ChunksPerPiece = 32;

    /// <param name="target">The range wanted, from <paramref name="offset"/> on.</param>
    /// <param name="buffer">Aligned, <see cref="ReadThreads.BufferBytes"/> long.</param>
    /// <returns>False when a chunk does not check.</returns>
    /// <exception cref="IOException">The device failed.</exception>
    public static bool TryRead(RingFile ring, in BlockId id, in BlockLocation location, int offset, Span<byte> target, Span<byte> buffer)
    {
        var place = new RecordPlace(ring.Geometry, location.Address, location.Length);
        while (target.Length > 0)
        {
            var chunk = offset / RecordLayout.ChunkBytes;
            var pieceEnd = (chunk + ChunksPerPiece) * RecordLayout.ChunkBytes;
            var take = Math.Min(target.Length, pieceEnd - offset);
            var lastChunk = (offset + take - 1) / RecordLayout.ChunkBytes;
            var start = place.ChunkAddress(chunk);
            var end = place.ChunkEnd(lastChunk);
            var from = start & -DataFile.Alignment;
            var until = (end + DataFile.Alignment - 1) & -DataFile.Alignment;
            var piece = buffer[..(int)(until - from)];
            ring.Read(piece, from);

            // Both pages of a cut record lie side by side on disk: one read, taken out in two goes.
            var first = chunk < place.FirstChunks && lastChunk >= place.FirstChunks ? (place.FirstChunks * RecordLayout.ChunkBytes) - offset : take;
            if (!RecordLayout.TryCopyOut(piece[(int)(start - from)..], id, location.Length, chunk, offset, target[..first])
                || (first < take && !RecordLayout.TryCopyOut(
                    piece[(int)(place.ChunkAddress(place.FirstChunks) - from)..], id, location.Length, place.FirstChunks, offset + first, target[first..take])))
            {
                return false;
            }

            offset += take;
            target = target[take..];
        }

        return true;
    }
}
