using Proxy.Backends.Local.Bodies;
using Proxy.S3.Objects;

namespace Proxy.Backends.Local.Index;

/// <summary>One object version as the index keeps it.</summary>
internal sealed record ObjectRow
{
    /// <summary>Raised by every change of the bytes; never used twice in the life of a store.</summary>
    public required long Version { get; init; }

    public required long Size { get; init; }

    /// <summary>Without quotes.</summary>
    public required string ETag { get; init; }

    /// <summary>Whole seconds since 1970.</summary>
    public required long Modified { get; init; }

    /// <summary>Null is STANDARD.</summary>
    public string? StorageClass { get; init; }

    public ObjectChecksums? Checksums { get; init; }

    /// <summary>Null for a plain upload.</summary>
    public int? PartCount { get; init; }

    public required ObjectDetails Details { get; init; }

    public required ObjectLayout Layout { get; init; }
}

/// <summary>What is stored beside the bytes: type, headers, tags.</summary>
internal sealed record ObjectDetails(
    string? ContentType, IReadOnlyList<KeyValuePair<string, string>> Headers, IReadOnlyList<KeyValuePair<string, string>> Tags)
{
    private const int Format = 1;

    public static ObjectDetails Decode(ReadOnlySpan<byte> record)
    {
        var reader = new RecordReader(record);
        if (reader.Number() != Format)
        {
            throw new InvalidDataException("The index holds object details of an unknown format.");
        }

        return new ObjectDetails(reader.Text(), Pairs(ref reader), Pairs(ref reader));
    }

    public byte[] Encode()
    {
        var writer = new RecordWriter().Number(Format).Text(ContentType);
        Pairs(writer, Headers);
        Pairs(writer, Tags);
        return writer.Written.ToArray();
    }

    private static KeyValuePair<string, string>[] Pairs(ref RecordReader reader)
    {
        var count = (int)reader.Number();
        var pairs = count == 0 ? [] : new KeyValuePair<string, string>[count];
        for (var i = 0; i < count; i++)
        {
            var name = reader.Text()!;
            pairs[i] = new(name, reader.Text()!);
        }

        return pairs;
    }

    private static void Pairs(RecordWriter writer, IReadOnlyList<KeyValuePair<string, string>> pairs)
    {
        writer.Number(pairs.Count);
        foreach (var (name, value) in pairs)
        {
            writer.Text(name).Text(value);
        }
    }
}

/// <summary>One part of a multipart object or upload.</summary>
internal sealed record StoredPart(int Number, long Size, byte[] Md5, ObjectChecksums? Checksums, IReadOnlyList<Extent> Extents)
{
    public PartInfo ToInfo(long modified) =>
        new(Number, Size, $"\"{Convert.ToHexStringLower(Md5)}\"", DateTimeOffset.FromUnixTimeSeconds(modified)) { Checksums = Checksums };
}

/// <summary>Where an object's bytes are: one list of extents, or one list per part.</summary>
internal sealed record ObjectLayout(IReadOnlyList<Extent> Extents, IReadOnlyList<StoredPart> Parts)
{
    private const int Format = 1;

    public static ObjectLayout Empty { get; } = new([], []);

    public IEnumerable<Extent> All => Parts.Count == 0 ? Extents : Parts.SelectMany(part => part.Extents);

    public static ObjectLayout Decode(ReadOnlySpan<byte> record)
    {
        var reader = new RecordReader(record);
        if (reader.Number() != Format)
        {
            throw new InvalidDataException("The index holds a layout of an unknown format.");
        }

        var extents = DecodeExtents(ref reader);
        var parts = new StoredPart[(int)reader.Number()];
        for (var i = 0; i < parts.Length; i++)
        {
            parts[i] = new StoredPart(
                (int)reader.Number(), reader.Number(), reader.Blob().ToArray(), ChecksumText.Parse(reader.Text()), DecodeExtents(ref reader));
        }

        return new ObjectLayout(extents, parts);
    }

    public byte[] Encode()
    {
        var writer = new RecordWriter().Number(Format);
        EncodeExtents(writer, Extents);
        writer.Number(Parts.Count);
        foreach (var part in Parts)
        {
            writer.Number(part.Number).Number(part.Size).Blob(part.Md5).Text(ChecksumText.Format(part.Checksums));
            EncodeExtents(writer, part.Extents);
        }

        return writer.Written.ToArray();
    }

    private static Extent[] DecodeExtents(ref RecordReader reader)
    {
        var count = (int)reader.Number();
        var extents = count == 0 ? [] : new Extent[count];
        for (var i = 0; i < count; i++)
        {
            extents[i] = new Extent(reader.Number(), reader.Number(), reader.Number(), reader.Number() != 0);
        }

        return extents;
    }

    private static void EncodeExtents(RecordWriter writer, IReadOnlyList<Extent> extents)
    {
        writer.Number(extents.Count);
        foreach (var extent in extents)
        {
            writer.Number(extent.Body).Number(extent.Offset).Number(extent.Length).Number(extent.Inline ? 1 : 0);
        }
    }
}

/// <summary>A checksum as one text: <c>CRC32C:FULL_OBJECT:yZRlqg==</c>.</summary>
internal static class ChecksumText
{
    public static string? Format(ObjectChecksums? checksums) => checksums is null ? null : $"{checksums.Algorithm}:{checksums.Type}:{checksums.Value}";

    public static ObjectChecksums? Parse(string? text)
    {
        if (text is null)
        {
            return null;
        }

        var pieces = text.Split(':', 3);
        return new ObjectChecksums(pieces[0], pieces[2], pieces[1]);
    }
}
