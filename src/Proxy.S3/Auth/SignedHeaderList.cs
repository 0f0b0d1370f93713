using System.Buffers;
using Proxy.S3.Requests;

namespace Proxy.S3.Auth;

/// <summary>The names under a signature, looked at inside the text that lists them: <c>host;x-amz-date</c>.</summary>
internal readonly struct SignedHeaderList(string? text, int start, int length)
{
    // Names that clients sign, so that looking a header up makes no string of a piece of the list. Never changed.
    private static readonly HashSet<string> Known = new(
        [
            "host", "x-amz-content-sha256", "x-amz-date", "x-amz-security-token", "x-amz-decoded-content-length", "x-amz-trailer", "x-amz-copy-source",
            "x-amz-sdk-checksum-algorithm", "x-amz-checksum-crc32", "x-amz-checksum-crc32c", "x-amz-checksum-crc64nvme", "x-amz-checksum-mode",
            "x-amz-user-agent", "x-amz-acl", "x-amz-storage-class", "x-amz-tagging", "x-amz-metadata-directive", "amz-sdk-invocation-id", "amz-sdk-request",
            "content-type", "content-length", "content-md5", "content-encoding", "cache-control", "range", "date", "user-agent", "accept", "accept-encoding",
            "if-match", "if-none-match", "if-modified-since", "if-unmodified-since", "expect", "connection", "transfer-encoding",
        ],
        StringComparer.Ordinal);

    private static readonly HashSet<string>.AlternateLookup<ReadOnlySpan<char>> KnownBySpan = Known.GetAlternateLookup<ReadOnlySpan<char>>();

    private static readonly SearchValues<char> UpperCase = SearchValues.Create("ABCDEFGHIJKLMNOPQRSTUVWXYZ");

    /// <summary>More than any client signs, and than a request may have headers half over.</summary>
    private const int MostNames = 128;

    public ReadOnlySpan<char> Text => (text ?? "").AsSpan(start, length);

    public override string ToString() => Text.ToString();

    public bool Contains(ReadOnlySpan<char> name)
    {
        var list = Text;
        foreach (var range in list.Split(';'))
        {
            if (list[range].Equals(name, StringComparison.OrdinalIgnoreCase))
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>Whether each name stands there once, and there are not too many: a name that is repeated would have its value hashed as often.</summary>
    public bool IsPlausible()
    {
        var list = Text;
        var isLower = !list.ContainsAny(UpperCase);
        var isAscending = true;
        var count = 0;
        var before = ReadOnlySpan<char>.Empty;
        foreach (var range in list.Split(';'))
        {
            var name = list[range];
            isAscending &= count == 0 || before.SequenceCompareTo(name) < 0;
            before = name;
            if (++count > MostNames)
            {
                return false;
            }
        }

        // In the order that the signature's rule asks for no name can stand there twice.
        return (isLower && isAscending) || !HasRepeated(list);
    }

    /// <summary>Writes the canonical headers in the order of the list.</summary>
    /// <param name="asWords">As <see cref="CanonicalRequest.AppendHeader"/>.</param>
    public void AppendCanonical<THeaders>(ref Utf8Builder canonical, in THeaders headers, bool asWords)
        where THeaders : IRequestHeaders
    {
        var list = Text;
        foreach (var range in list.Split(';'))
        {
            var name = list[range];
            CanonicalRequest.AppendHeader(ref canonical, name, headers[AsString(name)], asWords);
        }
    }

    /// <summary>Whether <see cref="AppendCanonical"/> writes anything else with words.</summary>
    public bool MayBeWords<THeaders>(in THeaders headers)
        where THeaders : IRequestHeaders
    {
        var list = Text;
        foreach (var range in list.Split(';'))
        {
            if (CanonicalRequest.HasUncommonWhiteSpace(headers[AsString(list[range])]))
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>The headers of a request that change what it means, x-amz-* and MinIO's recursive delete, and are not under its signature; null when there are none.</summary>
    public string? FindUnsigned<THeaders>(in THeaders headers, bool presigned)
        where THeaders : IRequestHeaders
    {
        var visitor = new UnsignedVisitor(this, presigned);
        headers.VisitNames(ref visitor);
        return visitor.Unsigned;
    }

    private static string AsString(ReadOnlySpan<char> name) => KnownBySpan.TryGetValue(name, out var known) ? known : name.ToString();

    private static bool HasRepeated(ReadOnlySpan<char> list)
    {
        var names = new HashSet<string>(StringComparer.OrdinalIgnoreCase);
        foreach (var range in list.Split(';'))
        {
            if (!names.Add(list[range].ToString()))
            {
                return true;
            }
        }

        return false;
    }

    private struct UnsignedVisitor(SignedHeaderList list, bool presigned) : IHeaderNameVisitor
    {
        public string? Unsigned { get; private set; }

        public bool Visit(string name)
        {
            // A presigned request signs its payload hash through the query; the verifier looks at the header's value itself.
            if ((name.StartsWith("x-amz-", StringComparison.OrdinalIgnoreCase) || name.Equals("x-minio-force-delete", StringComparison.OrdinalIgnoreCase))
                && !list.Contains(name)
                && !(presigned && name.Equals("x-amz-content-sha256", StringComparison.OrdinalIgnoreCase)))
            {
                var lower = name.ToLowerInvariant();
                Unsigned = Unsigned is null ? lower : Unsigned + ", " + lower;
            }

            return true;
        }
    }
}
