using System.Buffers;
using Proxy.S3.Requests;

namespace Proxy.S3.Auth;

/// <summary>The pieces of a canonical request as S3 wants them: a path encoded once and not normalised, a query sorted by bytes, trimmed headers.</summary>
/// <remarks>API Reference, "Signature calculations for the Authorization header". Shared by verifier and signer. Thread-safe.</remarks>
internal static class CanonicalRequest
{
    public const int HashLength = 32;

    private static readonly SearchValues<char> WhiteSpace = SearchValues.Create([.. Enumerable.Range(0, char.MaxValue).Select(static code => (char)code).Where(char.IsWhiteSpace)]);

    private static readonly SearchValues<char> UncommonWhiteSpace = SearchValues.Create([.. Enumerable.Range(0, char.MaxValue).Select(static code => (char)code).Where(static c => c != ' ' && char.IsWhiteSpace(c))]);

    /// <summary>Whether encoding the decoded path again gives the path as it came, so that only one canonical form exists.</summary>
    public static bool IsPlainPath(ReadOnlySpan<char> rawPath) => !rawPath.ContainsAnyExcept(PercentEncoding.PlainPath);

    /// <summary>Whether a header's value reads otherwise as words.</summary>
    public static bool HasUncommonWhiteSpace(ReadOnlySpan<char> value) => value.ContainsAny(UncommonWhiteSpace);

    /// <param name="asSent">False: decode, then encode by S3's rule. True: the text of the request line as it is.</param>
    /// <returns>False for escapes that are none.</returns>
    public static bool TryAppendPath(ref Utf8Builder text, ReadOnlySpan<char> rawPath, bool asSent)
    {
        if (asSent || IsPlainPath(rawPath))
        {
            text.Append(rawPath);
            return true;
        }

        return TryAppendReencoded(ref text, rawPath, isQuery: false);
    }

    /// <summary>Name and value pairs, sorted by the bytes of their encoded names, then values. The signature's own parameter is left out.</summary>
    public static bool TryAppendQuery(ref Utf8Builder text, S3Query query, bool asSent)
    {
        if (query.IsEmpty)
        {
            return true;
        }

        // 1. Encode all pairs behind each other into a scratch text. 2. Sort their places. 3. Copy them over in that order.
        using var places = new PairList(query);
        var scratch = new Utf8Builder(stackalloc byte[512]);
        try
        {
            foreach (var pair in query)
            {
                if (pair.RawName is "X-Amz-Signature")
                {
                    continue;
                }

                var start = scratch.Length;
                if (!TryAppendComponent(ref scratch, pair.RawName, asSent))
                {
                    return false;
                }

                var nameEnd = scratch.Length;
                scratch.Append((byte)'=');
                if (!TryAppendComponent(ref scratch, pair.RawValue, asSent))
                {
                    return false;
                }

                places.Add(new PairPlace(start, nameEnd, scratch.Length));
            }

            places.Sort(scratch.Written);
            var first = true;
            foreach (var place in places.Items)
            {
                if (!first)
                {
                    text.Append((byte)'&');
                }

                first = false;
                text.Append(scratch.Written[place.Start..place.End]);
            }

            return true;
        }
        finally
        {
            scratch.Dispose();
        }
    }

    /// <summary><c>name:value\n</c>, the value trimmed and its inner runs of spaces made one space.</summary>
    /// <param name="asWords">Tabs and Unicode's white space too: clients that sign the words of a value, one space between them.</param>
    public static void AppendHeader(ref Utf8Builder text, ReadOnlySpan<char> lowerName, ReadOnlySpan<char> value, bool asWords = false)
    {
        text.Append(lowerName);
        text.Append((byte)':');
        if (asWords)
        {
            AppendWords(ref text, value.Trim());
            return;
        }

        value = value.Trim(" \t\r\n");
        while (value.IndexOf("  ", StringComparison.Ordinal) is >= 0 and var run)
        {
            text.Append(value[..(run + 1)]);
            value = value[(run + 1)..].TrimStart(' ');
        }

        text.Append(value);
        text.Append((byte)'\n');
    }

    /// <summary>The string to sign of a whole request.</summary>
    public static void AppendStringToSign(ref Utf8Builder text, ReadOnlySpan<char> timestamp, ReadOnlySpan<char> scope, ReadOnlySpan<byte> canonicalHash)
    {
        text.Append("AWS4-HMAC-SHA256\n"u8);
        text.Append(timestamp);
        text.Append((byte)'\n');
        text.Append(scope);
        text.Append((byte)'\n');
        text.AppendHex(canonicalHash);
    }

    private static void AppendWords(ref Utf8Builder text, ReadOnlySpan<char> value)
    {
        while (value.IndexOfAny(WhiteSpace) is >= 0 and var end)
        {
            text.Append(value[..end]);
            text.Append((byte)' ');
            value = value[end..].TrimStart();
        }

        text.Append(value);
        text.Append((byte)'\n');
    }

    private static bool TryAppendComponent(ref Utf8Builder text, ReadOnlySpan<char> raw, bool asSent)
    {
        if (asSent || (!raw.Contains('/') && IsPlainPath(raw)))
        {
            text.Append(raw);
            return true;
        }

        return TryAppendReencoded(ref text, raw, isQuery: true);
    }

    private static bool TryAppendReencoded(ref Utf8Builder text, ReadOnlySpan<char> raw, bool isQuery)
    {
        var decoded = ArrayPool<byte>.Shared.Rent(raw.Length * 3);
        try
        {
            if (!PercentEncoding.TryDecode(raw, plusIsSpace: isQuery, decoded, out var length))
            {
                return false;
            }

            text.Advance(PercentEncoding.Encode(decoded.AsSpan(0, length), keepSlash: !isQuery, text.GetSpan(length * 3)));
            return true;
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(decoded);
        }
    }

    private readonly record struct PairPlace(int Start, int NameEnd, int End);

    /// <summary>Places of encoded pairs; pooled, as many as the query has.</summary>
    private ref struct PairList : IDisposable
    {
        // Above this many, sorting by insertion would let a client spend our time squared.
        private const int InsertionLimit = 24;

        private PairPlace[] _places;
        private int _count;

        public PairList(S3Query query)
        {
            _places = ArrayPool<PairPlace>.Shared.Rent(query.Raw.Count('&') + 1);
        }

        public readonly ReadOnlySpan<PairPlace> Items => _places.AsSpan(0, _count);

        public void Add(PairPlace place) => _places[_count++] = place;

        public readonly void Sort(ReadOnlySpan<byte> text)
        {
            if (_count > InsertionLimit)
            {
                var copy = text.ToArray();
                _places.AsSpan(0, _count).Sort((a, b) => Compare(copy, a, b));
                return;
            }

            for (var i = 1; i < _count; i++)
            {
                var place = _places[i];
                var j = i;
                for (; j > 0 && Compare(text, _places[j - 1], place) > 0; j--)
                {
                    _places[j] = _places[j - 1];
                }

                _places[j] = place;
            }
        }

        public void Dispose()
        {
            var places = _places;
            _places = [];
            _count = 0;
            ArrayPool<PairPlace>.Shared.Return(places);
        }

        private static int Compare(ReadOnlySpan<byte> text, PairPlace a, PairPlace b)
        {
            var names = text[a.Start..a.NameEnd].SequenceCompareTo(text[b.Start..b.NameEnd]);
            return names != 0 ? names : text[a.NameEnd..a.End].SequenceCompareTo(text[b.NameEnd..b.End]);
        }
    }
}
