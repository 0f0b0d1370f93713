using System.Buffers;
using System.Globalization;
using System.Text;
using Proxy.S3.Requests;

namespace Proxy.S3.Xml;

/// <summary>Writes S3's XML straight into a buffer as UTF-8.</summary>
/// <remarks>Keys may hold any character, also ones XML 1.0 has no form for: those become character references, as S3 writes them.</remarks>
internal readonly struct XmlOutput
{
    private static readonly SearchValues<char> Special = SearchValues.Create(
        "&<>\"\r\n\t\0\u0001\u0002\u0003\u0004\u0005\u0006\u0007\u0008\u000b\u000c\u000e\u000f\u0010\u0011\u0012\u0013\u0014\u0015\u0016\u0017\u0018\u0019\u001a\u001b\u001c\u001d\u001e\u001f\ufffe\uffff");

    private readonly IBufferWriter<byte> _output;

    public XmlOutput(IBufferWriter<byte> output)
    {
        _output = output;
    }

    /// <summary>The XML declaration and the root element with S3's namespace.</summary>
    public void StartDocument(ReadOnlySpan<byte> root)
    {
        _output.Write("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<"u8);
        _output.Write(root);
        _output.Write(" xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"u8);
    }

    /// <summary>The same without the namespace: error documents have none.</summary>
    public void StartPlainDocument(ReadOnlySpan<byte> root)
    {
        _output.Write("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"u8);
        Start(root);
    }

    public void Start(ReadOnlySpan<byte> name)
    {
        _output.Write("<"u8);
        _output.Write(name);
        _output.Write(">"u8);
    }

    public void End(ReadOnlySpan<byte> name)
    {
        _output.Write("</"u8);
        _output.Write(name);
        _output.Write(">"u8);
    }

    public void Element(ReadOnlySpan<byte> name, ReadOnlySpan<char> text)
    {
        Start(name);
        Text(text);
        End(name);
    }

    /// <summary>Nothing when the text is null.</summary>
    public void OptionalElement(ReadOnlySpan<byte> name, string? text)
    {
        if (text is not null)
        {
            Element(name, text);
        }
    }

    /// <summary>A name from the store: url-encoded where the client asked for <c>encoding-type=url</c>.</summary>
    public void NameElement(ReadOnlySpan<byte> name, string? text, bool urlEncoded)
    {
        if (text is not null)
        {
            Element(name, urlEncoded ? ListingNames.UrlEncode(text) : text);
        }
    }

    public void Element(ReadOnlySpan<byte> name, long number)
    {
        Start(name);
        var span = _output.GetSpan(20);
        number.TryFormat(span, out var written, provider: CultureInfo.InvariantCulture);
        _output.Advance(written);
        End(name);
    }

    public void Element(ReadOnlySpan<byte> name, bool value)
    {
        Start(name);
        _output.Write(value ? "true"u8 : "false"u8);
        End(name);
    }

    public void Element(ReadOnlySpan<byte> name, DateTimeOffset date)
    {
        Start(name);
        HttpDate.TryFormatIso8601(date, _output.GetSpan(HttpDate.Iso8601Length));
        _output.Advance(HttpDate.Iso8601Length);
        End(name);
    }

    /// <summary>The Owner or Initiator element: the proxy knows one owner.</summary>
    public void Owner(ReadOnlySpan<byte> name, XmlOwner owner)
    {
        Start(name);
        Element("ID"u8, owner.Id);
        Element("DisplayName"u8, owner.DisplayName);
        End(name);
    }

    public void Text(ReadOnlySpan<char> text)
    {
        while (!text.IsEmpty)
        {
            var special = text.IndexOfAny(Special);
            var run = special < 0 ? text : text[..special];
            if (!run.IsEmpty)
            {
                Encoding.UTF8.GetBytes(run, _output);
            }

            if (special < 0)
            {
                return;
            }

            switch (text[special])
            {
                case '&':
                    _output.Write("&amp;"u8);
                    break;
                case '<':
                    _output.Write("&lt;"u8);
                    break;
                case '>':
                    _output.Write("&gt;"u8);
                    break;
                case '"':
                    _output.Write("&quot;"u8);
                    break;
                case var control:
                    var span = _output.GetSpan(8);
                    "&#x"u8.CopyTo(span);
                    ((int)control).TryFormat(span[3..], out var digits, "x", CultureInfo.InvariantCulture);
                    span[3 + digits] = (byte)';';
                    _output.Advance(4 + digits);
                    break;
            }

            text = text[(special + 1)..];
        }
    }
}

/// <summary>Who owns buckets and objects, in listings.</summary>
public sealed record XmlOwner(string Id, string DisplayName)
{
    /// <summary>MinIO's constant owner, which clients of MinIO know.</summary>
    public static XmlOwner Default { get; } = new("02d6176db174dc93cb1b899f7c6078f08654445fe8cf1b6ce98d8855f66bdbf4", "minio");
}
