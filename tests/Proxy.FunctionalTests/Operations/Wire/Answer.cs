using System.Text;
using System.Xml.Linq;

namespace Proxy.FunctionalTests.Operations.Wire;

/// <summary>An answer as it came over the wire.</summary>
internal sealed record Answer(int Status, IReadOnlyList<KeyValuePair<string, string>> Headers, byte[] Body)
{
    public string Text => Encoding.UTF8.GetString(Body);

    /// <summary>The document; fails the test when the body is none.</summary>
    public XElement Xml => XDocument.Parse(Text, LoadOptions.PreserveWhitespace).Root!;

    /// <summary>The Code of an error document; of an error to HEAD, which has no body, what minio-go reads instead; null without either.</summary>
    public string? ErrorCode => Body.Length > 0 && Text.Contains("<Code>", StringComparison.Ordinal) ? Value("Code") : Header("x-minio-error-code");

    public string? ETag => Header("ETag");

    public string? Header(string name)
    {
        var values = Headers.Where(header => header.Key.Equals(name, StringComparison.OrdinalIgnoreCase)).Select(header => header.Value).ToList();
        return values.Count == 0 ? null : string.Join(", ", values);
    }

    /// <summary>The texts of all elements of that name, in document order.</summary>
    public IReadOnlyList<string> Values(string element) => [.. Xml.DescendantsAndSelf().Where(e => e.Name.LocalName == element).Select(e => e.Value)];

    /// <summary>The text of the first element of that name; null when there is none.</summary>
    public string? Value(string element) => Values(element) is [var first, ..] ? first : null;

    /// <summary>Names of the children of every element of that name: <c>Values("Contents", "Key")</c>.</summary>
    public IReadOnlyList<string> Values(string parent, string child) =>
        [.. Xml.DescendantsAndSelf().Where(e => e.Name.LocalName == parent).SelectMany(e => e.Elements()).Where(e => e.Name.LocalName == child).Select(e => e.Value)];

    /// <summary>Fails the test unless it has this status, and this error code if one is named.</summary>
    public Answer Expect(int status, string? code = null)
    {
        // An error to HEAD tells its code only where the server is ours.
        if (Status != status || (code is not null && ErrorCode != code && !(Body.Length == 0 && ErrorCode is null)))
        {
            Assert.Fail($"expected {status} {code}, got {Status} {ErrorCode}\n{string.Join('\n', Headers.Select(h => $"{h.Key}: {h.Value}"))}\n{(Text.Length > 2000 ? Text[..2000] : Text)}");
        }

        return this;
    }
}
