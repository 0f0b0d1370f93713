using System.Buffers;
using System.Globalization;
using Proxy.S3.Checksums;
using Proxy.S3.Errors;
using Proxy.S3.Objects;
using Proxy.S3.Requests;

namespace Proxy.S3.Xml;

/// <summary>Bodies of the multipart operations.</summary>
public static class MultipartXml
{
    /// <summary>The parts of a CompleteMultipartUpload.</summary>
    /// <exception cref="S3Exception">MalformedXML 400: also for no part, more than 10,000, or a number out of bounds; InvalidArgument for a part with two checksums, InvalidPartOrder 400.</exception>
    public static IReadOnlyList<CompletedPart> ReadComplete(ReadOnlyMemory<byte> body)
    {
        using var input = XmlInput.Open(body, S3Limits.MaxCompleteXmlBytes, "CompleteMultipartUpload");
        var parts = new List<CompletedPart>();
        while (input.NextChild(1, out var name))
        {
            if (name != "Part")
            {
                input.Skip();
                continue;
            }

            if (parts.Count == S3Limits.MaxPartNumber)
            {
                throw XmlInput.Malformed();
            }

            var part = ReadPart(input);
            if (parts.Count > 0 && part.Number <= parts[^1].Number)
            {
                throw new S3Exception(S3ErrorCode.InvalidPartOrder);
            }

            parts.Add(part);
        }

        return parts.Count > 0 ? parts : throw XmlInput.Malformed();
    }

    public static void WriteInitiate(IBufferWriter<byte> output, ObjectId id, string uploadId)
    {
        var xml = new XmlOutput(output);
        xml.StartDocument("InitiateMultipartUploadResult"u8);
        xml.Element("Bucket"u8, id.Bucket);
        xml.Element("Key"u8, id.Key);
        xml.Element("UploadId"u8, uploadId);
        xml.End("InitiateMultipartUploadResult"u8);
    }

    /// <param name="location">The object's address as the client would name it.</param>
    public static void WriteComplete(IBufferWriter<byte> output, ObjectId id, string location, string etag, ObjectChecksums? checksums)
    {
        var xml = new XmlOutput(output);
        xml.StartDocument("CompleteMultipartUploadResult"u8);
        xml.Element("Location"u8, location);
        xml.Element("Bucket"u8, id.Bucket);
        xml.Element("Key"u8, id.Key);
        xml.Element("ETag"u8, etag);
        ChecksumXml.Write(xml, checksums, withType: true);
        xml.End("CompleteMultipartUploadResult"u8);
    }

    public static void WriteListParts(
        IBufferWriter<byte> output, ObjectId id, string uploadId, int partNumberMarker, int maxParts, PartPage page, XmlOwner owner, bool urlEncoded = false)
    {
        var xml = new XmlOutput(output);
        xml.StartDocument("ListPartsResult"u8);
        xml.Element("Bucket"u8, id.Bucket);
        xml.NameElement("Key"u8, id.Key, urlEncoded);
        xml.Element("UploadId"u8, uploadId);
        xml.Owner("Initiator"u8, owner);
        xml.Owner("Owner"u8, owner);
        xml.Element("StorageClass"u8, page.StorageClass);
        xml.Element("PartNumberMarker"u8, partNumberMarker);
        xml.Element("NextPartNumberMarker"u8, page.Parts.Count > 0 ? page.Parts[^1].Number : 0);
        xml.Element("MaxParts"u8, maxParts);
        xml.Element("IsTruncated"u8, page.IsTruncated);
        xml.OptionalElement("ChecksumAlgorithm"u8, page.ChecksumAlgorithm);
        xml.OptionalElement("ChecksumType"u8, page.ChecksumType);
        foreach (var part in page.Parts)
        {
            xml.Start("Part"u8);
            xml.Element("PartNumber"u8, part.Number);
            xml.Element("LastModified"u8, part.LastModified);
            xml.Element("ETag"u8, part.ETag);
            xml.Element("Size"u8, part.Size);
            ChecksumXml.Write(xml, part.Checksums, withType: false);
            xml.End("Part"u8);
        }

        xml.End("ListPartsResult"u8);
    }

    public static void WriteListUploads(IBufferWriter<byte> output, string bucket, UploadListQuery asked, UploadPage page, XmlOwner owner, bool urlEncoded)
    {
        var xml = new XmlOutput(output);
        xml.StartDocument("ListMultipartUploadsResult"u8);
        xml.Element("Bucket"u8, bucket);
        xml.NameElement("KeyMarker"u8, asked.KeyMarker ?? "", urlEncoded);
        xml.Element("UploadIdMarker"u8, asked.UploadIdMarker ?? "");
        if (page.IsTruncated)
        {
            xml.NameElement("NextKeyMarker"u8, page.NextKeyMarker, urlEncoded);
            xml.OptionalElement("NextUploadIdMarker"u8, page.NextUploadIdMarker);
        }

        xml.NameElement("Prefix"u8, asked.Prefix, urlEncoded);
        if (asked.Delimiter is { Length: > 0 })
        {
            xml.NameElement("Delimiter"u8, asked.Delimiter, urlEncoded);
        }

        if (urlEncoded)
        {
            xml.Element("EncodingType"u8, "url");
        }

        xml.Element("MaxUploads"u8, asked.MaxUploads);
        xml.Element("IsTruncated"u8, page.IsTruncated);
        foreach (var upload in page.Uploads)
        {
            xml.Start("Upload"u8);
            xml.NameElement("Key"u8, upload.Key, urlEncoded);
            xml.Element("UploadId"u8, upload.UploadId);
            xml.Owner("Initiator"u8, owner);
            xml.Owner("Owner"u8, owner);
            xml.Element("StorageClass"u8, upload.StorageClass);
            xml.Element("Initiated"u8, upload.Initiated);
            xml.OptionalElement("ChecksumAlgorithm"u8, upload.ChecksumAlgorithm);
            xml.OptionalElement("ChecksumType"u8, upload.ChecksumType);
            xml.End("Upload"u8);
        }

        ListingXml.WriteCommonPrefixes(xml, page.CommonPrefixes, urlEncoded);
        xml.End("ListMultipartUploadsResult"u8);
    }

    private static CompletedPart ReadPart(XmlInput input)
    {
        var number = 0;
        string? etag = null;
        ObjectChecksums? checksums = null;
        while (input.NextChild(2, out var name))
        {
            switch (name)
            {
                case "PartNumber":
                    if (!int.TryParse(input.ReadText(16).AsSpan().Trim(), NumberStyles.None, CultureInfo.InvariantCulture, out number)
                        || number is < 1 or > S3Limits.MaxPartNumber)
                    {
                        throw XmlInput.Malformed();
                    }

                    break;
                case "ETag":
                    etag = input.ReadText(256).Trim();
                    break;
                case var _ when name.StartsWith("Checksum", StringComparison.Ordinal) && ChecksumAlgorithms.TryParse(name[8..], out var algorithm):
                    var value = input.ReadText(128).Trim();
                    if (value.Length > 0)
                    {
                        checksums = checksums is not null
                            ? throw new S3Exception(S3ErrorCode.InvalidArgument, message: "Invalid Base64 or multiple checksums present in request")
                            : new ObjectChecksums(algorithm.ToS3Name(), value, ObjectChecksums.FullObject);
                    }

                    break;
                default:
                    input.Skip();
                    break;
            }
        }

        return number > 0 && etag is { Length: > 0 } ? new CompletedPart(number, etag, checksums) : throw XmlInput.Malformed();
    }
}
