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

    /// <summary>Writes the canonical headers in the order of the list.</summary>
    public void AppendCanonical<THeaders>(ref Utf8Builder canonical, in THeaders headers)
        where THeaders : IRequestHeaders
    {
        var list = Text;
        foreach (var range in list.Split(';'))
        {
            var name = list[range];
            CanonicalRequest.AppendHeader(ref canonical, name, headers[KnownBySpan.TryGetValue(name, out var known) ? known : name.ToString()]);
        }
    }

    /// <summary>The x-amz-* headers of a request that are not under its signature; null when there are none.</summary>
    public string? FindUnsigned<THeaders>(in THeaders headers, bool presigned)
        where THeaders : IRequestHeaders
    {
        var visitor = new UnsignedVisitor(this, presigned);
        headers.VisitNames(ref visitor);
        return visitor.Unsigned;
    }

    private struct UnsignedVisitor(SignedHeaderList list, bool presigned) : IHeaderNameVisitor
    {
        public string? Unsigned { get; private set; }

        public bool Visit(string name)
        {
            // A presigned request signs its payload hash through the query; the verifier looks at the header's value itself.
            if (name.StartsWith("x-amz-", StringComparison.OrdinalIgnoreCase)
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
