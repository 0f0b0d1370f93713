using System.Buffers;
using Proxy.S3.Objects;

namespace Proxy.S3.Xml;

/// <summary>The document of a form upload that asked for status 201.</summary>
public static class PostResponseXml
{
    public static void Write(IBufferWriter<byte> output, ObjectId id, string location, string etag)
    {
        var xml = new XmlOutput(output);
        xml.StartPlainDocument("PostResponse"u8);
        xml.Element("Location"u8, location);
        xml.Element("Bucket"u8, id.Bucket);
        xml.Element("Key"u8, id.Key);
        xml.Element("ETag"u8, etag);
        xml.End("PostResponse"u8);
    }
}
