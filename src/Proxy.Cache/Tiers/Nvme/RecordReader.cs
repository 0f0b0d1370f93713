using Proxy.Cache.Blocks;

namespace Proxy.Cache.Tiers.Nvme;

/// <summary>Reads a range of a record: the sectors around the chunks it touches, and nothing else.</summary>
internal static class RecordReader
{
    private const int ChunksPerPiece = 32;

    /// <summary>Reads a range through a buffer.</summary>
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

    /// <summary>Whether <see cref="TryReadInPlace"/> can read this range: whole chunks, to memory that a device can write to.</summary>
    /// <param name="length">Of the whole block.</param>
    public static unsafe bool CanReadInPlace(int length, int offset, Span<byte> target)
    {
        var end = offset + target.Length;
        fixed (byte* start = target)
        {
            return offset % RecordLayout.ChunkBytes == 0 && (end == length || end % RecordLayout.ChunkBytes == 0) && (nint)start % DataFile.Alignment == 0;
        }
    }

    /// <summary>Reads whole chunks to where they are wanted, and moves each up over the checksums before it once it has been checked.</summary>
    /// <remarks>
    /// A copy within what the processor's caches hold anyway, where one out of a buffer brings as much again there. For memory in large pages: a virtual disk is asked for
    /// each small one apart (<see cref="ReadThreads"/>).
    /// </remarks>
    /// <param name="target"><see cref="CanReadInPlace"/> says so.</param>
    /// <param name="spill">Aligned, <see cref="ReadThreads.BufferBytes"/> long: for what a record has more than its block.</param>
    /// <inheritdoc cref="TryRead" path="/returns"/>
    /// <inheritdoc cref="TryRead" path="/exception"/>
    public static bool TryReadInPlace(RingFile ring, in BlockId id, in BlockLocation location, int offset, Span<byte> target, Span<byte> spill)
    {
        var place = new RecordPlace(ring.Geometry, location.Address, location.Length);
        var firstChunk = offset / RecordLayout.ChunkBytes;
        var lastChunk = (offset + target.Length - 1) / RecordLayout.ChunkBytes;
        var from = place.ChunkAddress(firstChunk) & -DataFile.Alignment;
        var until = (place.ChunkEnd(lastChunk) + DataFile.Alignment - 1) & -DataFile.Alignment;
        var here = target[..(target.Length & -DataFile.Alignment)];
        var behind = spill[..(int)(until - from - here.Length)];
        ring.Read(here, behind, from);
        for (var chunk = firstChunk; chunk <= lastChunk; chunk++)
        {
            // Never before where it goes: what is written has been read.
            var lies = (int)(place.ChunkAddress(chunk) - from);
            var bytes = (int)(place.ChunkEnd(chunk) - from) - lies;
            var stored = lies + bytes <= here.Length ? here.Slice(lies, bytes)
                : lies >= here.Length ? behind.Slice(lies - here.Length, bytes)
                : Joined(here[lies..], behind, spill.Slice(spill.Length - bytes, bytes));
            if (!RecordLayout.TryCopyOut(stored, id, location.Length, chunk, chunk * RecordLayout.ChunkBytes, target.Slice((chunk - firstChunk) * RecordLayout.ChunkBytes, bytes - RecordLayout.ChecksumBytes)))
            {
                return false;
            }
        }

        return true;
    }

    private static Span<byte> Joined(ReadOnlySpan<byte> first, ReadOnlySpan<byte> second, Span<byte> whole)
    {
        first.CopyTo(whole);
        second[..(whole.Length - first.Length)].CopyTo(whole[first.Length..]);
        return whole;
    }
}
