using System.Buffers;
using Proxy.S3.Objects;

namespace Proxy.S3.Xml;

/// <summary>What GetObjectAttributes was asked for: the x-amz-object-attributes header.</summary>
[Flags]
public enum ObjectAttributes
{
    None = 0,
    ETag = 1,
    Checksum = 2,
    ObjectParts = 4,
    StorageClass = 8,
    ObjectSize = 16,
}

/// <summary>Bodies of the object operations.</summary>
public static class ObjectXml
{
    public static void WriteCopyObject(IBufferWriter<byte> output, string etag, DateTimeOffset lastModified, ObjectChecksums? checksums)
        => WriteCopy(output, "CopyObjectResult"u8, etag, lastModified, checksums, withType: true);

    public static void WriteCopyPart(IBufferWriter<byte> output, PartInfo part)
        => WriteCopy(output, "CopyPartResult"u8, part.ETag, part.LastModified, part.Checksums, withType: false);

    /// <summary>Reads x-amz-object-attributes: names joined by commas, perhaps over several lines.</summary>
    /// <exception cref="Errors.S3Exception">InvalidRequest 400 for none, InvalidArgument for an unknown one.</exception>
    public static ObjectAttributes ReadAttributes(string? header)
    {
        if (string.IsNullOrWhiteSpace(header))
        {
            throw new Errors.S3Exception(Errors.S3ErrorCode.InvalidRequest, message: "The x-amz-object-attributes header specifying the attributes to be retrieved is either missing or empty");
        }

        var asked = ObjectAttributes.None;
        foreach (var range in header.AsSpan().Split(','))
        {
            asked |= header.AsSpan()[range].Trim() switch
            {
                "ETag" => ObjectAttributes.ETag,
                "Checksum" => ObjectAttributes.Checksum,
                "ObjectParts" => ObjectAttributes.ObjectParts,
                "StorageClass" => ObjectAttributes.StorageClass,
                "ObjectSize" => ObjectAttributes.ObjectSize,
                "" => ObjectAttributes.None,
                _ => throw BadAttributes(header),
            };
        }

        return asked == ObjectAttributes.None ? throw BadAttributes(header) : asked;
    }

    /// <param name="parts">The page of parts to show; null when the object was not uploaded in parts.</param>
    /// <param name="totalParts">Of the object, not of the page.</param>
    public static void WriteAttributes(
        IBufferWriter<byte> output, ObjectAttributes asked, ObjectInfo info, ObjectChecksums? checksums, string storageClass,
        PartPage? parts, int totalParts, int partNumberMarker, int maxParts)
    {
        var xml = new XmlOutput(output);
        xml.StartDocument("GetObjectAttributesResponse"u8);
        if (asked.HasFlag(ObjectAttributes.ETag))
        {
            // Without quotes here, unlike everywhere else (API Reference, GetObjectAttributes).
            xml.Element("ETag"u8, info.ETag.AsSpan().Trim('"'));
        }

        if (asked.HasFlag(ObjectAttributes.Checksum) && checksums is not null)
        {
            xml.Start("Checksum"u8);
            ChecksumXml.Write(xml, checksums, withType: true);
            xml.End("Checksum"u8);
        }

        if (asked.HasFlag(ObjectAttributes.ObjectParts) && parts is not null)
        {
            WriteParts(xml, parts, totalParts, partNumberMarker, maxParts);
        }

        if (asked.HasFlag(ObjectAttributes.StorageClass))
        {
            xml.Element("StorageClass"u8, storageClass);
        }

        if (asked.HasFlag(ObjectAttributes.ObjectSize))
        {
            xml.Element("ObjectSize"u8, info.Size);
        }

        xml.End("GetObjectAttributesResponse"u8);
    }

    private static void WriteParts(XmlOutput xml, PartPage parts, int totalParts, int partNumberMarker, int maxParts)
    {
        xml.Start("ObjectParts"u8);
        xml.Element("PartsCount"u8, totalParts);
        xml.Element("PartNumberMarker"u8, partNumberMarker);
        xml.Element("NextPartNumberMarker"u8, parts.Parts.Count > 0 ? parts.Parts[^1].Number : 0);
        xml.Element("MaxParts"u8, maxParts);
        xml.Element("IsTruncated"u8, parts.IsTruncated);
        foreach (var part in parts.Parts)
        {
            xml.Start("Part"u8);
            xml.Element("PartNumber"u8, part.Number);
            xml.Element("Size"u8, part.Size);
            ChecksumXml.Write(xml, part.Checksums, withType: false);
            xml.End("Part"u8);
        }

        xml.End("ObjectParts"u8);
    }

    private static void WriteCopy(
        IBufferWriter<byte> output, ReadOnlySpan<byte> root, string etag, DateTimeOffset lastModified, ObjectChecksums? checksums, bool withType)
    {
        var xml = new XmlOutput(output);
        xml.StartDocument(root);
        xml.Element("LastModified"u8, lastModified);
        xml.Element("ETag"u8, etag);
        ChecksumXml.Write(xml, checksums, withType);
        xml.End(root);
    }

    private static Errors.S3Exception BadAttributes(string? value) => new(Errors.S3ErrorCode.InvalidArgument, message: "Invalid attribute name specified.")
    {
        Details = [new("ArgumentName", "x-amz-object-attributes"), new("ArgumentValue", value ?? "")],
    };
}
