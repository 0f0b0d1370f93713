using System.Runtime.InteropServices;
using System.Xml;

namespace Proxy.Server.Forwarding;

/// <summary>Finds the Error document that S3 can send under status 200, after it has begun to answer.</summary>
internal static class ErrorDocument
{
    private static readonly XmlReaderSettings Settings = new() { DtdProcessing = DtdProcessing.Prohibit, XmlResolver = null, CheckCharacters = false };

    /// <returns>The Code of a document whose root is Error (<c>Unknown</c> when it has none, or when the text is no XML at all); null for any other document,
    /// and for none.</returns>
    public static string? TryReadCode(ReadOnlyMemory<byte> body)
    {
        // S3 sends spaces while it works on a long request, and the XML declaration may come before or after them.
        return TryReadCode(body, mayBeDeclared: true);
    }

    /// <param name="mayBeDeclared">A document has one declaration: what has been taken from behind it is not looked into for another.</param>
    private static string? TryReadCode(ReadOnlyMemory<byte> body, bool mayBeDeclared)
    {
        var text = body.Span.TrimStart(" \t\r\n"u8);
        if (text.IsEmpty)
        {
            return null;
        }

        var start = body.Length - text.Length;
        try
        {
            using var reader = XmlReader.Create(new MemoryStream(ToArray(body[start..], out var offset, out var count), offset, count, writable: false), Settings);
            if (reader.MoveToContent() != XmlNodeType.Element || reader.LocalName != "Error")
            {
                return null;
            }

            return reader.ReadToDescendant("Code") ? reader.ReadElementContentAsString() : "Unknown";
        }
        catch (XmlException)
        {
            return mayBeDeclared && SpacesAfterDeclaration(text) is { Length: > 0 } rest ? TryReadCode(rest, mayBeDeclared: false) : "Unknown";
        }
    }

    private static byte[] SpacesAfterDeclaration(ReadOnlySpan<byte> text)
    {
        var end = text.StartsWith("<?xml"u8) ? text.IndexOf("?>"u8) : -1;
        return end < 0 ? [] : text[(end + 2)..].TrimStart(" \t\r\n"u8).ToArray();
    }

    private static byte[] ToArray(ReadOnlyMemory<byte> memory, out int offset, out int count)
    {
        if (MemoryMarshal.TryGetArray(memory, out var segment))
        {
            (offset, count) = (segment.Offset, segment.Count);
            return segment.Array!;
        }

        (offset, count) = (0, memory.Length);
        return memory.ToArray();
    }
}
