using System.Buffers;
using Proxy.S3.Errors;
using Proxy.S3.Objects;
using Proxy.S3.Requests;

namespace Proxy.S3.Xml;

/// <summary>Bodies of the bucket operations.</summary>
public static class BucketXml
{
    /// <summary>The LocationConstraint of a CreateBucketConfiguration; null when the body is empty or names none.</summary>
    /// <exception cref="S3Exception">MalformedXML 400.</exception>
    public static string? ReadCreateBucket(ReadOnlyMemory<byte> body)
    {
        if (body.IsEmpty)
        {
            return null;
        }

        using var input = XmlInput.Open(body, S3Limits.MaxSmallXmlBytes, "CreateBucketConfiguration");
        string? location = null;
        while (input.NextChild(1, out var name))
        {
            if (name == "LocationConstraint")
            {
                location = input.ReadText(128);
            }
            else
            {
                input.Skip();
            }
        }

        return location is { Length: > 0 } ? location : null;
    }

    /// <param name="next">The token of the next page; null on the last.</param>
    /// <param name="prefix">As asked for; null when it was not.</param>
    public static void WriteListBuckets(IBufferWriter<byte> output, IReadOnlyList<BucketInfo> buckets, XmlOwner owner, string? next = null, string? prefix = null)
    {
        var xml = new XmlOutput(output);
        xml.StartDocument("ListAllMyBucketsResult"u8);
        xml.Owner("Owner"u8, owner);
        xml.Start("Buckets"u8);
        foreach (var bucket in buckets)
        {
            xml.Start("Bucket"u8);
            xml.Element("Name"u8, bucket.Name);
            xml.Element("CreationDate"u8, bucket.CreatedAt);
            xml.End("Bucket"u8);
        }

        xml.End("Buckets"u8);
        xml.OptionalElement("ContinuationToken"u8, next);
        xml.OptionalElement("Prefix"u8, prefix);
        xml.End("ListAllMyBucketsResult"u8);
    }

    /// <summary>us-east-1 is an empty element, as S3 answers it (API Reference, GetBucketLocation).</summary>
    public static void WriteLocation(IBufferWriter<byte> output, string region)
    {
        var xml = new XmlOutput(output);
        xml.StartDocument("LocationConstraint"u8);
        if (region != "us-east-1")
        {
            xml.Text(region);
        }

        xml.End("LocationConstraint"u8);
    }

    /// <summary>An ACL by which the owner has everything and nobody else anything.</summary>
    public static void WritePrivateAcl(IBufferWriter<byte> output, XmlOwner owner)
    {
        var xml = new XmlOutput(output);
        xml.StartDocument("AccessControlPolicy"u8);
        xml.Owner("Owner"u8, owner);
        xml.Start("AccessControlList"u8);
        xml.Start("Grant"u8);
        xml.Start("Grantee xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" xsi:type=\"CanonicalUser\""u8);
        xml.Element("ID"u8, owner.Id);
        xml.Element("DisplayName"u8, owner.DisplayName);
        xml.End("Grantee"u8);
        xml.Element("Permission"u8, "FULL_CONTROL");
        xml.End("Grant"u8);
        xml.End("AccessControlList"u8);
        xml.End("AccessControlPolicy"u8);
    }

    /// <summary>Of a bucket that never had versioning: empty.</summary>
    public static void WriteVersioning(IBufferWriter<byte> output)
    {
        var xml = new XmlOutput(output);
        xml.StartDocument("VersioningConfiguration"u8);
        xml.End("VersioningConfiguration"u8);
    }
}
