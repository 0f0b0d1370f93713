namespace Proxy.S3.Requests;

/// <summary>The query of a request target, looked at in place.</summary>
/// <remarks>
/// <c>uploads</c> and <c>uploads=</c> are the same; <c>+</c> is a space; of several pairs of one name the first counts.
/// Names are compared decoded and with case, as S3 does.
/// </remarks>
public readonly struct S3Query(string text, int start, int length)
{
    /// <summary>Without the question mark, as it came.</summary>
    public ReadOnlySpan<char> Raw => text.AsSpan(start, length);

    public bool IsEmpty => length == 0;

    public bool Contains(ReadOnlySpan<char> name) => TryGetRaw(name, out _);

    /// <summary>How many pairs have this name.</summary>
    public int Count(ReadOnlySpan<char> name)
    {
        var count = 0;
        foreach (var pair in this)
        {
            count += pair.Is(name) ? 1 : 0;
        }

        return count;
    }

    /// <summary>The value as it came, still encoded.</summary>
    public bool TryGetRaw(ReadOnlySpan<char> name, out ReadOnlySpan<char> rawValue)
    {
        foreach (var pair in this)
        {
            if (pair.Is(name))
            {
                rawValue = pair.RawValue;
                return true;
            }
        }

        rawValue = default;
        return false;
    }

    /// <summary>The decoded value; empty for a name without one; null when absent.</summary>
    /// <exception cref="Errors.S3Exception">InvalidURI 400 for broken escapes.</exception>
    public string? Get(ReadOnlySpan<char> name)
        => TryGetRaw(name, out var raw)
            ? PercentEncoding.Decode(raw, plusIsSpace: true) ?? throw new Errors.S3Exception(Errors.S3ErrorCode.InvalidUri)
            : null;

    /// <summary>The decoded value as a number.</summary>
    /// <exception cref="Errors.S3Exception">InvalidArgument 400 when it is there but is no number from <paramref name="min"/> to <paramref name="max"/>.</exception>
    public int? GetInt(string name, int min, int max)
    {
        if (!TryGetRaw(name, out var raw) || raw.IsEmpty)
        {
            return null;
        }

        if (!int.TryParse(raw, System.Globalization.NumberStyles.AllowLeadingSign, null, out var value) || value < min || value > max)
        {
            throw new Errors.S3Exception(Errors.S3ErrorCode.InvalidArgument, message: $"Argument {name} must be an integer between {min} and {max}.")
            {
                Details = [new("ArgumentName", name), new("ArgumentValue", raw.ToString())],
            };
        }

        return value;
    }

    public Enumerator GetEnumerator() => new(Raw);

    /// <summary>Walks the pairs in the order they came; empty pairs (<c>&amp;&amp;</c>) are left out.</summary>
    public ref struct Enumerator(ReadOnlySpan<char> rest)
    {
        private ReadOnlySpan<char> _rest = rest;

        public S3QueryPair Current { get; private set; }

        public bool MoveNext()
        {
            while (!_rest.IsEmpty)
            {
                var end = _rest.IndexOf('&');
                var pair = end < 0 ? _rest : _rest[..end];
                _rest = end < 0 ? default : _rest[(end + 1)..];
                if (pair.IsEmpty)
                {
                    continue;
                }

                var equals = pair.IndexOf('=');
                Current = equals < 0 ? new S3QueryPair(pair, default) : new S3QueryPair(pair[..equals], pair[(equals + 1)..]);
                return true;
            }

            return false;
        }
    }
}

/// <summary>One name and value of a query, still encoded.</summary>
public readonly ref struct S3QueryPair(ReadOnlySpan<char> rawName, ReadOnlySpan<char> rawValue)
{
    public ReadOnlySpan<char> RawName { get; } = rawName;

    public ReadOnlySpan<char> RawValue { get; } = rawValue;

    /// <summary>Whether the decoded name is <paramref name="name"/>.</summary>
    public bool Is(ReadOnlySpan<char> name)
        => RawName.SequenceEqual(name) || (RawName.IndexOfAny('%', '+') >= 0 && PercentEncoding.Decode(RawName, plusIsSpace: true) is { } decoded && name.SequenceEqual(decoded));
}
