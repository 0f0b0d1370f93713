using System.Buffers;
using System.Text;
using Proxy.S3.Errors;
using Proxy.S3.Requests;

namespace Proxy.S3.Xml;

/// <summary>Object tags: as a Tagging document and as the x-amz-tagging header.</summary>
public static class TaggingXml
{
    /// <exception cref="S3Exception">MalformedXML 400, InvalidTag 400.</exception>
    public static IReadOnlyList<KeyValuePair<string, string>> Read(ReadOnlyMemory<byte> body)
    {
        using var input = XmlInput.Open(body, S3Limits.MaxSmallXmlBytes, "Tagging");
        List<KeyValuePair<string, string>>? tags = null;
        while (input.NextChild(1, out var name))
        {
            if (name != "TagSet")
            {
                input.Skip();
                continue;
            }

            if (tags is not null)
            {
                throw XmlInput.Malformed();
            }

            tags = [];
            while (input.NextChild(2, out var child))
            {
                if (child != "Tag")
                {
                    throw XmlInput.Malformed();
                }

                Add(tags, ReadTag(input));
            }
        }

        return tags ?? throw XmlInput.Malformed();
    }

    /// <summary>The x-amz-tagging header: <c>key=value&amp;key=value</c>, form-encoded.</summary>
    /// <exception cref="S3Exception">InvalidArgument 400, InvalidTag 400.</exception>
    public static IReadOnlyList<KeyValuePair<string, string>> ReadHeader(string value)
    {
        var tags = new List<KeyValuePair<string, string>>();
        foreach (var pair in new S3Query(value, 0, value.Length))
        {
            if (PercentEncoding.Decode(pair.RawName, plusIsSpace: true) is not { Length: > 0 } key
                || PercentEncoding.Decode(pair.RawValue, plusIsSpace: true) is not { } text
                || tags.Exists(known => known.Key == key))
            {
                throw new S3Exception(S3ErrorCode.InvalidArgument, message: "The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query parameters without tag name duplicates.")
                {
                    Details = [new("ArgumentName", "x-amz-tagging"), new("ArgumentValue", value)],
                };
            }

            Add(tags, new(key, text));
        }

        return tags;
    }

    public static void Write(IBufferWriter<byte> output, IReadOnlyList<KeyValuePair<string, string>> tags)
    {
        var xml = new XmlOutput(output);
        xml.StartDocument("Tagging"u8);
        xml.Start("TagSet"u8);
        foreach (var (key, value) in tags)
        {
            xml.Start("Tag"u8);
            xml.Element("Key"u8, key);
            xml.Element("Value"u8, value);
            xml.End("Tag"u8);
        }

        xml.End("TagSet"u8);
        xml.End("Tagging"u8);
    }

    private static KeyValuePair<string, string> ReadTag(XmlInput input)
    {
        string? key = null;
        string? value = null;
        while (input.NextChild(3, out var name))
        {
            switch (name)
            {
                case "Key" when key is null:
                    key = input.ReadText(S3Limits.MaxSmallXmlBytes);
                    break;
                case "Value" when value is null:
                    value = input.ReadText(S3Limits.MaxSmallXmlBytes);
                    break;
                default:
                    throw XmlInput.Malformed();
            }
        }

        return key is null || value is null ? throw XmlInput.Malformed() : new(key, value);
    }

    private static void Add(List<KeyValuePair<string, string>> tags, KeyValuePair<string, string> tag)
    {
        if (tags.Count == S3Limits.MaxTags)
        {
            throw new S3Exception(S3ErrorCode.BadRequest, message: "Object tags cannot be greater than 10");
        }

        if (tag.Key.StartsWith("aws:", StringComparison.OrdinalIgnoreCase))
        {
            throw new S3Exception(S3ErrorCode.InvalidTag, message: "System tags cannot be added/updated by requester") { Details = [new("TagKey", Shortened(tag.Key))] };
        }

        if (tag.Key.Length is 0 or > S3Limits.MaxTagKeyLength || !IsAllowed(tag.Key))
        {
            throw new S3Exception(S3ErrorCode.InvalidTag, message: "The TagKey you have provided is invalid") { Details = [new("TagKey", Shortened(tag.Key))] };
        }

        if (tag.Value.Length > S3Limits.MaxTagValueLength || !IsAllowed(tag.Value))
        {
            throw new S3Exception(S3ErrorCode.InvalidTag, message: "The TagValue you have provided is invalid") { Details = [new("TagKey", tag.Key)] };
        }

        foreach (var known in tags)
        {
            if (known.Key == tag.Key)
            {
                throw new S3Exception(S3ErrorCode.InvalidTag, message: "Cannot provide multiple Tags with the same key") { Details = [new("TagKey", tag.Key)] };
            }
        }

        tags.Add(tag);
    }

    /// <summary>Letters, numbers and spaces of any script, and <c>_.:/=+-@</c> (S3 User Guide, "Categorizing your objects using tags").</summary>
    private static bool IsAllowed(string text)
    {
        foreach (var rune in text.EnumerateRunes())
        {
            if (!Rune.IsLetter(rune) && !Rune.IsNumber(rune) && !Rune.IsSeparator(rune) && !(rune.IsAscii && "_.:/=+-@".Contains((char)rune.Value, StringComparison.Ordinal)))
            {
                return false;
            }
        }

        return true;
    }

    private static string Shortened(string text) => text.Length <= 256 ? text : text[..256];
}
