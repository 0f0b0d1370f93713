using System.Runtime.InteropServices;
using System.Xml;
using Proxy.S3.Errors;

namespace Proxy.S3.Xml;

/// <summary>Reads a client's XML without trusting it: no DTD, nothing resolved, every size bounded. Anything off is MalformedXML.</summary>
/// <remarks>
/// Namespaces are not looked at, since old clients send none. Memory stays within a small multiple of the body: <see cref="XmlReader"/> keeps a node for each
/// open element and each attribute, so depth and the length of a tag are bounded here.
/// </remarks>
internal sealed class XmlInput : IDisposable
{
    private const int MaxDepth = 8;

    // Our documents have no attributes but a namespace; a schema location fits too.
    private const int MaxTagBytes = 2048;

    private readonly XmlReader _reader;

    private XmlInput(XmlReader reader)
    {
        _reader = reader;
    }

    public static XmlInput Open(ReadOnlyMemory<byte> body, int maxBytes, string root)
    {
        if (body.IsEmpty || body.Length > maxBytes || !TagsAreShort(body.Span))
        {
            throw Malformed();
        }

        var settings = new XmlReaderSettings
        {
            DtdProcessing = DtdProcessing.Prohibit,
            XmlResolver = null,
            MaxCharactersInDocument = maxBytes,
            MaxCharactersFromEntities = 1024,
            IgnoreComments = true,
            IgnoreProcessingInstructions = true,
            IgnoreWhitespace = false,
            CloseInput = true,
        };
        var input = new XmlInput(Create(body, settings));
        try
        {
            input.Read();
            while (input._reader.NodeType is XmlNodeType.XmlDeclaration or XmlNodeType.Whitespace or XmlNodeType.SignificantWhitespace)
            {
                input.Read();
            }

            if (input._reader.NodeType != XmlNodeType.Element || input._reader.LocalName != root)
            {
                throw Malformed();
            }

            return input;
        }
        catch
        {
            input.Dispose();
            throw;
        }
    }

    public static S3Exception Malformed(Exception? cause = null) => new(S3ErrorCode.MalformedXml, innerException: cause);

    /// <summary>
    /// Moves to the next child element of the element at <paramref name="depth"/> - 1, which the reader is in or has just entered. False at that element's end.
    /// After true the caller reads the child to its end: <see cref="ReadText"/>, <see cref="Skip"/>, or a loop of this one level deeper.
    /// </summary>
    public bool NextChild(int depth, out string name)
    {
        name = "";
        if (_reader.NodeType == XmlNodeType.Element && _reader.Depth == depth - 1 && _reader.IsEmptyElement)
        {
            Finish(depth);
            return false;
        }

        while (true)
        {
            Read();
            switch (_reader.NodeType)
            {
                case XmlNodeType.Element when _reader.Depth == depth:
                    name = _reader.LocalName;
                    return true;
                case XmlNodeType.EndElement when _reader.Depth == depth - 1:
                    Finish(depth);
                    return false;
                case XmlNodeType.Whitespace or XmlNodeType.SignificantWhitespace:
                    continue;
                default:
                    throw Malformed();
            }
        }
    }

    /// <summary>The text of the element the reader stands on; it may have no children.</summary>
    public string ReadText(int maxLength)
    {
        if (_reader.IsEmptyElement)
        {
            return "";
        }

        var depth = _reader.Depth;
        var text = "";
        while (true)
        {
            Read();
            switch (_reader.NodeType)
            {
                case XmlNodeType.Text or XmlNodeType.CDATA or XmlNodeType.Whitespace or XmlNodeType.SignificantWhitespace:
                    var piece = ReadValue();
                    if (text.Length + piece.Length > maxLength)
                    {
                        throw Malformed();
                    }

                    text = text.Length == 0 ? piece : text + piece;
                    continue;
                case XmlNodeType.EndElement when _reader.Depth == depth:
                    return text;
                default:
                    throw Malformed();
            }
        }
    }

    /// <summary>Passes over the element the reader stands on.</summary>
    public void Skip()
    {
        if (_reader.IsEmptyElement)
        {
            return;
        }

        var depth = _reader.Depth;
        do
        {
            Read();
        }
        while (_reader.NodeType != XmlNodeType.EndElement || _reader.Depth != depth);
    }

    public void Dispose() => _reader.Dispose();

    // After the root's end only white space may follow.
    private void Finish(int depth)
    {
        if (depth != 1)
        {
            return;
        }

        try
        {
            while (_reader.Read())
            {
                if (_reader.NodeType is not (XmlNodeType.Whitespace or XmlNodeType.SignificantWhitespace or XmlNodeType.EndElement))
                {
                    throw Malformed();
                }
            }
        }
        catch (XmlException e)
        {
            throw Malformed(e);
        }
    }

    private void Read()
    {
        try
        {
            if (!_reader.Read() || _reader.Depth > MaxDepth)
            {
                throw Malformed();
            }
        }
        catch (Exception e) when (e is XmlException or ArgumentException)
        {
            throw Malformed(e);
        }
    }

    // The reader looks at a long text only when asked for it, so this too meets what is malformed.
    private string ReadValue()
    {
        try
        {
            return _reader.Value;
        }
        catch (Exception e) when (e is XmlException or ArgumentException)
        {
            throw Malformed(e);
        }
    }

    // It decides on an encoding before it is asked to read, so this too meets what is malformed.
    private static XmlReader Create(ReadOnlyMemory<byte> body, XmlReaderSettings settings)
    {
        try
        {
            return XmlReader.Create(AsStream(body), settings);
        }
        catch (Exception e) when (e is XmlException or ArgumentException)
        {
            throw Malformed(e);
        }
    }

    private static bool TagsAreShort(ReadOnlySpan<byte> body)
    {
        while (body.IndexOf((byte)'<') is >= 0 and var start)
        {
            body = body[start..];
            var end = body.IndexOf((byte)'>');
            if ((end < 0 ? body.Length : end) > MaxTagBytes)
            {
                return false;
            }

            body = end < 0 ? default : body[end..];
        }

        return true;
    }

    private static MemoryStream AsStream(ReadOnlyMemory<byte> body)
        => MemoryMarshal.TryGetArray(body, out var segment)
            ? new MemoryStream(segment.Array!, segment.Offset, segment.Count, writable: false)
            : new MemoryStream(body.ToArray(), writable: false);
}
