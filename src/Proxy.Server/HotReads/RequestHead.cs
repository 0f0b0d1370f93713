using System.Buffers;
using System.Text;
using Proxy.S3.Requests;

namespace Proxy.Server.HotReads;

/// <summary>The head of a GET or HEAD without anything that needs thought: HTTP/1.1, origin form, printable ASCII, no body, and only headers that every read has.</summary>
/// <remarks>
/// Strict where Kestrel is lenient: what it does not take is Kestrel's, so nothing here decides what is wrong. Keeps the strings of the head before: most of a client's
/// headers say the same again. One a connection; not thread-safe.
/// </remarks>
internal sealed class RequestHead
{
    /// <summary>Headers that change nothing of an answer but by what is looked at: range, checksum mode, host, signature. Any other makes a request Kestrel's.</summary>
    private static readonly string[] Names =
    [
        "host", "range", "authorization", "x-amz-date", "x-amz-content-sha256", "x-amz-security-token", "date", "user-agent", "accept", "accept-encoding", "connection",
        "content-type", "content-length", "cache-control", "x-amz-user-agent", "x-amz-api-version", "x-amz-checksum-mode", "amz-sdk-invocation-id", "amz-sdk-request",
        "traceparent", "tracestate",
    ];

    private static readonly byte[][] NameBytes = [.. Names.Select(Encoding.ASCII.GetBytes)];

    private static readonly SearchValues<byte> NameBytesOfHosts = SearchValues.Create("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-_"u8);

    /// <summary>Places in <see cref="Names"/> by the length of the name.</summary>
    private static readonly int[][] ByLength = [.. Enumerable.Range(0, Names.Max(name => name.Length) + 1).Select(length => Places(name => name.Length == length))];

    private static readonly int Host = Places(name => name == "host")[0];
    private static readonly int Connection = Places(name => name == "connection")[0];
    private static readonly int ContentLength = Places(name => name == "content-length")[0];

    private readonly string?[] _values = new string?[Names.Length];
    private uint _present;

    /// <summary>HEAD, not GET.</summary>
    public bool IsHead { get; private set; }

    /// <summary>Begins with a slash.</summary>
    public string Target { get; private set; } = "";

    /// <summary>Bytes of the head, with the empty line that ends it.</summary>
    public int Length { get; private set; }

    /// <returns>False when it is not complete, or anything but such a head. Then nothing here means anything.</returns>
    public bool TryRead(ReadOnlySpan<byte> bytes)
    {
        _present = 0;
        if (!TryTakeLine(bytes, 0, out var line, out var next) || !TryReadRequestLine(line))
        {
            return false;
        }

        while (TryTakeLine(bytes, next, out line, out next))
        {
            if (line.IsEmpty)
            {
                Length = next;
                return (_present & (1u << Host)) != 0; // Kestrel refuses a request without one
            }

            if (!TryReadHeader(line))
            {
                return false;
            }
        }

        return false;
    }

    public string? Find(string name)
    {
        if (name.Length < ByLength.Length)
        {
            foreach (var place in ByLength[name.Length])
            {
                // Nearly all that ask do so with the very literal.
                if (ReferenceEquals(name, Names[place]) || name.Equals(Names[place], StringComparison.OrdinalIgnoreCase))
                {
                    return (_present & (1u << place)) != 0 ? _values[place] : null;
                }
            }
        }

        return null;
    }

    public void VisitNames<TVisitor>(ref TVisitor visitor)
        where TVisitor : struct, IHeaderNameVisitor
    {
        for (var left = _present; left != 0; left &= left - 1)
        {
            if (!visitor.Visit(Names[System.Numerics.BitOperations.TrailingZeroCount(left)]))
            {
                return;
            }
        }
    }

    /// <summary>A name or an address, and perhaps a port. There are others, which Kestrel knows.</summary>
    private static bool IsPlainHost(ReadOnlySpan<byte> host)
    {
        var name = host.IndexOfAnyExcept(NameBytesOfHosts);
        var port = name < 0 ? default : host[(name + 1)..];
        return !host.IsEmpty && name != 0 && (name < 0 || (host[name] == ':' && port.Length is > 0 and <= 5 && !port.ContainsAnyExceptInRange((byte)'0', (byte)'9')));
    }

    private static int[] Places(Func<string, bool> which) => [.. Enumerable.Range(0, Names.Length).Where(place => which(Names[place]))];

    /// <summary>A line of printable ASCII with its CR LF, and nothing else.</summary>
    private static bool TryTakeLine(ReadOnlySpan<byte> bytes, int at, out ReadOnlySpan<byte> line, out int next)
    {
        var length = bytes[at..].IndexOfAnyExceptInRange((byte)' ', (byte)'~');
        next = at + length + 2;
        var complete = length >= 0 && next <= bytes.Length && bytes[at + length] == '\r' && bytes[at + length + 1] == '\n';
        line = complete ? bytes.Slice(at, length) : default;
        return complete;
    }

    private bool TryReadRequestLine(ReadOnlySpan<byte> line)
    {
        IsHead = line.StartsWith("HEAD /"u8);
        var start = IsHead ? 5 : 4;
        if ((!IsHead && !line.StartsWith("GET /"u8)) || !line.EndsWith(" HTTP/1.1"u8) || line.Length < start + 10)
        {
            return false;
        }

        var target = line[start..^9];
        if (target.Contains((byte)' '))
        {
            return false;
        }

        if (!Ascii.Equals(target, Target))
        {
            Target = Encoding.ASCII.GetString(target);
        }

        return true;
    }

    private bool TryReadHeader(ReadOnlySpan<byte> line)
    {
        var colon = line.IndexOf((byte)':');
        if (colon < 0 || colon >= ByLength.Length)
        {
            return false;
        }

        foreach (var place in ByLength[colon])
        {
            if (Ascii.EqualsIgnoreCase(line[..colon], NameBytes[place]))
            {
                return TryKeep(place, line[(colon + 1)..].Trim((byte)' '));
            }
        }

        return false;
    }

    private bool TryKeep(int place, ReadOnlySpan<byte> value)
    {
        var bit = 1u << place;
        if ((_present & bit) != 0
            || (place == ContentLength && !value.SequenceEqual("0"u8))
            || (place == Connection && !Ascii.EqualsIgnoreCase(value, "keep-alive"u8)))
        {
            return false;
        }

        _present |= bit;
        if (_values[place] is { } before && Ascii.Equals(value, before))
        {
            return true;
        }

        if (place == Host && !IsPlainHost(value))
        {
            return false;
        }

        _values[place] = Encoding.ASCII.GetString(value);
        return true;
    }

    /// <summary>As Proxy.S3 sees them; a struct, so that generic code over it boxes nothing.</summary>
    public readonly struct Headers(RequestHead head) : IRequestHeaders
    {
        public string? this[string name] => head.Find(name);

        public void VisitNames<TVisitor>(ref TVisitor visitor)
            where TVisitor : struct, IHeaderNameVisitor => head.VisitNames(ref visitor);
    }
}
