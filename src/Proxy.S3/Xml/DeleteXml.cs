using System.Buffers;
using System.Globalization;
using Proxy.S3.Errors;
using Proxy.S3.Objects;
using Proxy.S3.Requests;

namespace Proxy.S3.Xml;

/// <param name="VersionId">Null when the client names no version.</param>
/// <param name="Conditions">Delete only what they describe; null when unconditional.</param>
public sealed record DeleteEntry(string Key, string? VersionId, DeleteConditions? Conditions);

/// <summary>The body of DeleteObjects.</summary>
public sealed record DeleteRequest(IReadOnlyList<DeleteEntry> Objects, bool Quiet);

/// <summary>The fate of one key: deleted where <paramref name="Error"/> is null.</summary>
public sealed record DeleteOutcome(string Key, string? VersionId, S3Exception? Error);

/// <summary>Bodies of DeleteObjects.</summary>
public static class DeleteXml
{
    /// <exception cref="S3Exception">MalformedXML 400: also for no key, or more than 1000; KeyTooLongError 400.</exception>
    public static DeleteRequest Read(ReadOnlyMemory<byte> body)
    {
        using var input = XmlInput.Open(body, S3Limits.MaxDeleteXmlBytes, "Delete");
        var objects = new List<DeleteEntry>();
        var quiet = false;
        while (input.NextChild(1, out var name))
        {
            switch (name)
            {
                case "Quiet":
                    quiet = string.Equals(input.ReadText(16).Trim(), "true", StringComparison.OrdinalIgnoreCase);
                    break;
                case "Object":
                    if (objects.Count == S3Limits.MaxDeleteKeys)
                    {
                        throw XmlInput.Malformed();
                    }

                    objects.Add(ReadObject(input));
                    break;
                default:
                    input.Skip();
                    break;
            }
        }

        return objects.Count > 0 ? new DeleteRequest(objects, quiet) : throw XmlInput.Malformed();
    }

    /// <summary>In quiet mode only errors are written.</summary>
    public static void Write(IBufferWriter<byte> output, IReadOnlyList<DeleteOutcome> outcomes, bool quiet)
    {
        var xml = new XmlOutput(output);
        xml.StartDocument("DeleteResult"u8);
        foreach (var outcome in outcomes)
        {
            if (outcome.Error is { } error)
            {
                xml.Start("Error"u8);
                xml.Element("Key"u8, outcome.Key);
                xml.OptionalElement("VersionId"u8, outcome.VersionId);
                xml.Element("Code"u8, error.Code.Name);
                xml.Element("Message"u8, error.Message);
                xml.End("Error"u8);
            }
            else if (!quiet)
            {
                xml.Start("Deleted"u8);
                xml.Element("Key"u8, outcome.Key);
                xml.OptionalElement("VersionId"u8, outcome.VersionId);
                xml.End("Deleted"u8);
            }
        }

        xml.End("DeleteResult"u8);
    }

    private static DeleteEntry ReadObject(XmlInput input)
    {
        string? key = null;
        string? version = null;
        var conditions = new DeleteConditions();
        while (input.NextChild(2, out var name))
        {
            switch (name)
            {
                // Of two keys, stores differ in which one they take.
                case "Key" when key is not null:
                case "VersionId" when version is not null:
                    throw XmlInput.Malformed();
                case "Key":
                    key = input.ReadText(16 * S3Limits.MaxKeyBytes);
                    break;
                case "VersionId":
                    version = input.ReadText(1024);
                    break;
                case "ETag":
                    conditions = conditions with { IfMatch = input.ReadText(256) is { Length: > 0 } etag ? etag : null };
                    break;
                case "LastModifiedTime":
                    conditions = conditions with { LastModified = HttpDate.TryParse(input.ReadText(64), out var date) ? date : throw XmlInput.Malformed() };
                    break;
                case "Size":
                    conditions = conditions with { Size = long.TryParse(input.ReadText(32), NumberStyles.None, CultureInfo.InvariantCulture, out var size) ? size : throw XmlInput.Malformed() };
                    break;
                default:
                    input.Skip();
                    break;
            }
        }

        if (key is not { Length: > 0 })
        {
            throw XmlInput.Malformed();
        }

        if (System.Text.Encoding.UTF8.GetByteCount(key) > S3Limits.MaxKeyBytes)
        {
            throw new S3Exception(S3ErrorCode.KeyTooLongError);
        }

        return new DeleteEntry(key, version is { Length: > 0 } ? version : null, conditions == new DeleteConditions() ? null : conditions);
    }
}
