using System.IO.Hashing;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using Proxy.Cache.Blocks;

namespace Proxy.Cache.Metadata;

/// <summary>Derives content ids: XxHash128 over length-prefixed fields, so that no two versions, parts or views share one.</summary>
/// <remarks>
/// The block size is one of the fields: block 7 of another size is other bytes.
/// Stable across restarts and versions of the program: NVMe blocks are found again by it. Change nothing here without a new format version.
/// </remarks>
internal static class ContentIds
{
    private const byte ObjectTag = 1;
    private const byte PartTag = 2;

    public static ContentId OfObject(string bucket, string key, string etag, long size, int blockSize)
    {
        var hash = new XxHash128();
        hash.Append([ObjectTag]);
        Append(hash, bucket);
        Append(hash, key);
        Append(hash, etag);
        Append(hash, size);
        Append(hash, blockSize);
        return Finish(hash);
    }

    public static ContentId OfPart(string bucket, string key, string uploadId, int partNumber, string etag, long size, int blockSize)
    {
        var hash = new XxHash128();
        hash.Append([PartTag]);
        Append(hash, bucket);
        Append(hash, key);
        Append(hash, uploadId);
        Append(hash, partNumber);
        Append(hash, etag);
        Append(hash, size);
        Append(hash, blockSize);
        return Finish(hash);
    }

    /// <summary>An id of its own for bytes whose version is not known yet. Found again only by a layout that names it.</summary>
    public static ContentId Draw()
    {
        Span<byte> random = stackalloc byte[16];
        RandomNumberGenerator.Fill(random);
        return MemoryMarshal.Read<ContentId>(random);
    }

    /// <summary>The same bytes cut into granules of 64 KiB instead of blocks.</summary>
    public static ContentId OfGranules(in ContentId content) => new(content.High ^ 0x6772616e756c6573, content.Low);

    private static void Append(XxHash128 hash, string text)
    {
        Append(hash, text.Length);
        hash.Append(MemoryMarshal.AsBytes(text.AsSpan()));
    }

    private static void Append(XxHash128 hash, long number) => hash.Append(MemoryMarshal.AsBytes(new ReadOnlySpan<long>(in number)));

    private static ContentId Finish(XxHash128 hash)
    {
        var value = hash.GetCurrentHashAsUInt128();
        return new ContentId((ulong)(value >> 64), (ulong)value);
    }
}
