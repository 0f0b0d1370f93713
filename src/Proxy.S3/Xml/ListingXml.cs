using System.Buffers;
using Proxy.S3.Objects;

namespace Proxy.S3.Xml;

/// <summary>What a client asked a listing for, as far as the answer repeats it.</summary>
public sealed record ListingEcho
{
    public required string Bucket { get; init; }

    public string Prefix { get; init; } = "";

    /// <summary>Null or empty: none.</summary>
    public string? Delimiter { get; init; }

    public int MaxKeys { get; init; } = 1000;

    /// <summary><c>encoding-type=url</c> was asked for.</summary>
    public bool UrlEncoded { get; init; }

    /// <summary>V1: the marker asked for. Versions: the key marker.</summary>
    public string? Marker { get; init; }

    /// <summary>Versions: the version marker asked for.</summary>
    public string? VersionMarker { get; init; }

    /// <summary>V2: as the client sent it.</summary>
    public string? ContinuationToken { get; init; }

    /// <summary>V2.</summary>
    public string? StartAfter { get; init; }

    /// <summary>V2: <c>fetch-owner=true</c>. V1 always names the owner.</summary>
    public bool FetchOwner { get; init; }
}

/// <summary>Bodies of ListObjects, ListObjectsV2 and ListObjectVersions, elements in S3's order.</summary>
public static class ListingXml
{
    public static void WriteV1(IBufferWriter<byte> output, ListingEcho asked, ListPage page, XmlOwner owner)
    {
        var xml = new XmlOutput(output);
        xml.StartDocument("ListBucketResult"u8);
        xml.Element("Name"u8, asked.Bucket);
        xml.NameElement("Prefix"u8, asked.Prefix, asked.UrlEncoded);
        xml.NameElement("Marker"u8, asked.Marker ?? "", asked.UrlEncoded);

        // Without a delimiter the last key says where to go on (API Reference, ListObjects).
        if (page.IsTruncated && asked.Delimiter is { Length: > 0 })
        {
            xml.NameElement("NextMarker"u8, page.NextAfter, asked.UrlEncoded);
        }

        xml.Element("MaxKeys"u8, asked.MaxKeys);
        WriteDelimiter(xml, asked);
        xml.Element("IsTruncated"u8, page.IsTruncated);
        WriteEntries(xml, asked, page, owner);
        xml.End("ListBucketResult"u8);
    }

    public static void WriteV2(IBufferWriter<byte> output, ListingEcho asked, ListPage page, XmlOwner owner)
    {
        var xml = new XmlOutput(output);
        xml.StartDocument("ListBucketResult"u8);
        xml.Element("Name"u8, asked.Bucket);
        xml.NameElement("Prefix"u8, asked.Prefix, asked.UrlEncoded);
        xml.NameElement("StartAfter"u8, asked.StartAfter, asked.UrlEncoded);
        xml.OptionalElement("ContinuationToken"u8, asked.ContinuationToken);
        if (page is { IsTruncated: true, NextAfter: { } next })
        {
            xml.Element("NextContinuationToken"u8, ListingNames.ToContinuationToken(next));
        }

        xml.Element("KeyCount"u8, page.Objects.Count + page.CommonPrefixes.Count);
        xml.Element("MaxKeys"u8, asked.MaxKeys);
        WriteDelimiter(xml, asked);
        xml.Element("IsTruncated"u8, page.IsTruncated);
        WriteEntries(xml, asked, page, asked.FetchOwner ? owner : null);
        xml.End("ListBucketResult"u8);
    }

    /// <summary>Of a bucket that never had versioning: each object is its only version, <c>null</c>.</summary>
    public static void WriteVersions(IBufferWriter<byte> output, ListingEcho asked, ListPage page, XmlOwner owner)
    {
        var xml = new XmlOutput(output);
        xml.StartDocument("ListVersionsResult"u8);
        xml.Element("Name"u8, asked.Bucket);
        xml.NameElement("Prefix"u8, asked.Prefix, asked.UrlEncoded);
        xml.NameElement("KeyMarker"u8, asked.Marker ?? "", asked.UrlEncoded);
        xml.Element("VersionIdMarker"u8, asked.VersionMarker ?? "");
        if (page.IsTruncated)
        {
            xml.NameElement("NextKeyMarker"u8, page.NextAfter, asked.UrlEncoded);
            if (page.Objects.Count > 0 && page.Objects[^1].Key == page.NextAfter)
            {
                xml.Element("NextVersionIdMarker"u8, "null");
            }
        }

        xml.Element("MaxKeys"u8, asked.MaxKeys);
        WriteDelimiter(xml, asked);
        xml.Element("IsTruncated"u8, page.IsTruncated);
        WriteEntries(xml, asked, page, owner, versions: true);
        xml.End("ListVersionsResult"u8);
    }

    private static void WriteDelimiter(XmlOutput xml, ListingEcho asked)
    {
        if (asked.Delimiter is { Length: > 0 })
        {
            xml.NameElement("Delimiter"u8, asked.Delimiter, asked.UrlEncoded);
        }

        if (asked.UrlEncoded)
        {
            xml.Element("EncodingType"u8, "url");
        }
    }

    private static void WriteEntries(XmlOutput xml, ListingEcho asked, ListPage page, XmlOwner? owner, bool versions = false)
    {
        for (var i = 0; i < page.Objects.Count; i++)
        {
            var listed = page.Objects[i];
            xml.Start(versions ? "Version"u8 : "Contents"u8);
            xml.NameElement("Key"u8, listed.Key, asked.UrlEncoded);
            if (versions)
            {
                xml.Element("VersionId"u8, "null");
                xml.Element("IsLatest"u8, true);
            }

            xml.Element("LastModified"u8, listed.LastModified);
            xml.Element("ETag"u8, listed.ETag);
            xml.OptionalElement("ChecksumAlgorithm"u8, listed.ChecksumAlgorithm);
            xml.OptionalElement("ChecksumType"u8, listed.ChecksumType);
            xml.Element("Size"u8, listed.Size);
            if (owner is not null)
            {
                xml.Owner("Owner"u8, owner);
            }

            xml.Element("StorageClass"u8, listed.StorageClass);
            xml.End(versions ? "Version"u8 : "Contents"u8);
        }

        WriteCommonPrefixes(xml, page.CommonPrefixes, asked.UrlEncoded);
    }

    internal static void WriteCommonPrefixes(XmlOutput xml, IReadOnlyList<string> prefixes, bool urlEncoded)
    {
        for (var i = 0; i < prefixes.Count; i++)
        {
            xml.Start("CommonPrefixes"u8);
            xml.NameElement("Prefix"u8, prefixes[i], urlEncoded);
            xml.End("CommonPrefixes"u8);
        }
    }
}
