using System.Buffers;
using System.Diagnostics.CodeAnalysis;
using System.Text;
using System.Xml;
using Proxy.S3.Errors;

namespace Proxy.S3.Xml;

/// <summary>What a backend's error document says.</summary>
/// <param name="Message">Empty when it says nothing.</param>
public sealed record ErrorDocument(string Code, string Message)
{
    public string? Resource { get; init; }

    public string? RequestId { get; init; }
}

/// <summary>Error documents: ours written, a backend's read.</summary>
public static class ErrorXml
{
    /// <summary>An error body longer than this is not read further. Ours; S3's are under 2 KiB.</summary>
    public const int MaxBytes = 64 << 10;

    /// <param name="resource">The path asked for, unless the error names its own.</param>
    public static void Write(IBufferWriter<byte> output, S3Exception error, string resource, string requestId, string hostId)
    {
        var xml = new XmlOutput(output);
        xml.StartPlainDocument("Error"u8);
        xml.Element("Code"u8, error.Code.Name);
        xml.Element("Message"u8, error.Message);
        foreach (var (name, value) in error.Details)
        {
            xml.Element(Encoding.UTF8.GetBytes(name), Writable(value));
        }

        xml.Element("Resource"u8, Writable(error.Resource ?? resource));
        xml.Element("RequestId"u8, requestId);
        xml.Element("HostId"u8, hostId);
        xml.End("Error"u8);
    }

    /// <summary>XML 1.0 has no way to write most control characters, and a client must be able to read why its odd key was refused: they are percent-encoded.</summary>
    private static string Writable(string text)
    {
        if (!text.AsSpan().ContainsAnyInRange('\0', '\u001f') && !text.AsSpan().ContainsAny('\ufffe', '\uffff'))
        {
            return text;
        }

        var writable = new StringBuilder(text.Length + 16);
        foreach (var character in text)
        {
            writable.Append(XmlConvert.IsXmlChar(character) || char.IsSurrogate(character) ? character.ToString() : Uri.HexEscape((char)(character & 0xff)));
        }

        return writable.ToString();
    }

    /// <summary>
    /// Whether a body is an Error document: of an answer of 4xx or 5xx, or of a 200 to CompleteMultipartUpload or CopyObject, which S3 uses when the work fails after
    /// the status line went out. A body that is no XML at all is none.
    /// </summary>
    public static bool TryRead(ReadOnlyMemory<byte> body, [NotNullWhen(true)] out ErrorDocument? error)
    {
        error = null;
        try
        {
            // Keep-alive white space may come before the document.
            var start = body.Span.IndexOfAnyExcept(" \t\r\n"u8);
            if (start < 0)
            {
                return false;
            }

            using var input = XmlInput.Open(body[start..], MaxBytes, "Error");
            string? code = null;
            var message = "";
            string? resource = null;
            string? requestId = null;
            while (input.NextChild(1, out var name))
            {
                switch (name)
                {
                    case "Code":
                        code = input.ReadText(256);
                        break;
                    case "Message":
                        message = input.ReadText(MaxBytes);
                        break;
                    case "Resource":
                        resource = input.ReadText(MaxBytes);
                        break;
                    case "RequestId":
                        requestId = input.ReadText(1024);
                        break;
                    default:
                        input.Skip();
                        break;
                }
            }

            if (code is not { Length: > 0 })
            {
                return false;
            }

            error = new ErrorDocument(code, message) { Resource = resource, RequestId = requestId };
            return true;
        }
        catch (Exception e) when (e is S3Exception or XmlException)
        {
            return false;
        }
    }
}
