using System.Collections.Immutable;
using System.Text;
using Proxy.Cache.Blocks;
using Proxy.Cache.Policy;
using Proxy.S3.Objects;

namespace Proxy.Cache.Metadata;

/// <summary>One catalog entry as bytes, and back. Little-endian, lengths before texts.</summary>
/// <remarks>Same order in Write and <see cref="Read"/>; change both, and <see cref="CatalogJournal"/>'s format version.</remarks>
internal static class JournalRecord
{
    public static void Write(BinaryWriter writer, CatalogEntry entry, int blockSize)
    {
        writer.Write(entry.Bucket);
        writer.Write(entry.Key);
        writer.Write(entry.ETag);
        writer.Write(blockSize);
        writer.Write(entry.Layout.Extents.Length);
        foreach (var extent in entry.Layout.Extents)
        {
            writer.Write(extent.Length);
            writer.Write(extent.Content.High);
            writer.Write(extent.Content.Low);
        }

        writer.Write(entry.Info is not null);
        if (entry.Info is { } info)
        {
            writer.Write(info.LastModified.UtcTicks);
            writer.Write(info.ContentType is not null);
            writer.Write(info.ContentType ?? "");
            writer.Write(info.PartCount ?? 0);
            Write(writer, info.Headers);
            Write(writer, info.ChecksumHeaders);
        }
    }

    /// <returns>No entry when it was written for another block size: its blocks cannot be found any more.</returns>
    /// <exception cref="IOException">It ends early or makes no sense.</exception>
    public static (ObjectId Id, CatalogEntry? Entry) Read(BinaryReader reader, int blockSize, ClassRules rules)
    {
        var bucket = reader.ReadString();
        var key = reader.ReadString();
        var etag = reader.ReadString();
        var sameBlocks = reader.ReadInt32() == blockSize;
        var extents = new List<(ContentId, long)>();
        for (var left = Count(reader, 10_000); left > 0; left--)
        {
            var length = reader.ReadInt64();
            extents.Add((new ContentId(reader.ReadUInt64(), reader.ReadUInt64()), length));
        }

        // An empty object has one extent of length 0, which OfParts leaves out: it is found by its size alone.
        var layout = ObjectLayout.OfParts(extents, blockSize);
        layout.NoteFill(Origin.Recovered, at: null);
        ObjectInfo? info = null;
        if (reader.ReadBoolean())
        {
            info = new ObjectInfo
            {
                Size = layout.Size,
                ETag = etag,
                LastModified = new DateTimeOffset(reader.ReadInt64(), TimeSpan.Zero),
                ContentType = reader.ReadBoolean() ? reader.ReadString() : Skip(reader),
                PartCount = reader.ReadInt32() is > 0 and var parts ? parts : null,
                Headers = ReadHeaders(reader),
                ChecksumHeaders = ReadHeaders(reader),
            };
        }

        return (new ObjectId(bucket, key), sameBlocks
            ? new CatalogEntry { Bucket = bucket, Key = key, ETag = etag, Layout = layout, Info = info, Policy = rules.Find(bucket, key) }
            : null);
    }

    private static string? Skip(BinaryReader reader)
    {
        _ = reader.ReadString();
        return null;
    }

    private static void Write(BinaryWriter writer, IReadOnlyList<KeyValuePair<string, string>> headers)
    {
        writer.Write(headers.Count);
        foreach (var (name, value) in headers)
        {
            writer.Write(name);
            writer.Write(value);
        }
    }

    private static ImmutableArray<KeyValuePair<string, string>> ReadHeaders(BinaryReader reader)
    {
        var count = Count(reader, 1000);
        var headers = ImmutableArray.CreateBuilder<KeyValuePair<string, string>>(count);
        for (; count > 0; count--)
        {
            headers.Add(new(reader.ReadString(), reader.ReadString()));
        }

        return headers.DrainToImmutable();
    }

    private static int Count(BinaryReader reader, int most)
        => reader.ReadInt32() is var count && count >= 0 && count <= most ? count : throw new InvalidDataException("A count in the catalog's journal makes no sense.");

    public static byte[] Put(CatalogEntry entry, int blockSize)
    {
        using var bytes = new MemoryStream();
        using var writer = new BinaryWriter(bytes, Encoding.UTF8);
        writer.Write((byte)1);
        Write(writer, entry, blockSize);
        return bytes.ToArray();
    }

    public static byte[] Removal(string name)
    {
        using var bytes = new MemoryStream();
        using var writer = new BinaryWriter(bytes, Encoding.UTF8);
        writer.Write((byte)2);
        writer.Write(name);
        return bytes.ToArray();
    }
}
