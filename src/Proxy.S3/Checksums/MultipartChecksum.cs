using Proxy.S3.Objects;

namespace Proxy.S3.Checksums;

/// <summary>What a multipart object's checksums and ETag are, from those of its parts; no byte is read again.</summary>
public static class MultipartChecksum
{
    /// <summary>A checksum of the parts' checksums, with <c>-N</c>.</summary>
    /// <param name="partValues">Base64, in order.</param>
    public static ObjectChecksums Composite(ChecksumAlgorithm algorithm, IReadOnlyList<string> partValues) => throw new NotSupportedException("Not built yet.");

    /// <summary>The checksum of all bytes. Only CRCs can be put together so.</summary>
    /// <exception cref="ArgumentException">SHA-1 or SHA-256.</exception>
    public static ObjectChecksums FullObject(ChecksumAlgorithm algorithm, IReadOnlyList<(string Value, long Size)> parts) => throw new NotSupportedException("Not built yet.");

    /// <summary>With quotes: the MD5 of the parts' MD5s, and <c>-N</c>.</summary>
    /// <param name="partETags">32 hex digits each, with or without quotes, in order.</param>
    public static string ETag(IReadOnlyList<string> partETags) => throw new NotSupportedException("Not built yet.");
}
