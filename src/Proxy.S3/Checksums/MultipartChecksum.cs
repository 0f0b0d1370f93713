using System.Buffers.Binary;
using System.Globalization;
using System.Security.Cryptography;
using Proxy.S3.Errors;
using Proxy.S3.Objects;

namespace Proxy.S3.Checksums;

/// <summary>What a multipart object's checksums and ETag are, from those of its parts; no byte is read again.</summary>
/// <remarks>S3 User Guide, "Checking object integrity": composite and full-object checksums. Thread-safe.</remarks>
public static class MultipartChecksum
{
    /// <summary>A checksum of the parts' checksums, with <c>-N</c>.</summary>
    /// <param name="partValues">Base64, in order.</param>
    /// <exception cref="S3Exception">InvalidPart 400 for a value that is none of this algorithm.</exception>
    public static ObjectChecksums Composite(ChecksumAlgorithm algorithm, IReadOnlyList<string> partValues)
    {
        using var checksum = IncrementalChecksum.Create(algorithm);
        Span<byte> value = stackalloc byte[ChecksumAlgorithms.MaxDigestLength];
        foreach (var part in partValues)
        {
            checksum.Append(value[..Decode(algorithm, part, value)]);
        }

        var text = $"{checksum.GetBase64AndReset()}-{partValues.Count.ToString(CultureInfo.InvariantCulture)}";
        return new ObjectChecksums(algorithm.ToS3Name(), text, ObjectChecksums.Composite);
    }

    /// <summary>The checksum of all bytes. Only CRCs can be put together so.</summary>
    /// <param name="parts">Base64 and size in bytes of each, in order.</param>
    /// <exception cref="ArgumentException">Not <see cref="ChecksumAlgorithms.IsCrc"/>.</exception>
    /// <exception cref="S3Exception">InvalidPart 400 for a value that is none of this algorithm.</exception>
    public static ObjectChecksums FullObject(ChecksumAlgorithm algorithm, IReadOnlyList<(string Value, long Size)> parts)
    {
        var field = algorithm switch
        {
            ChecksumAlgorithm.Crc32 => GaloisField.Crc32,
            ChecksumAlgorithm.Crc32C => GaloisField.Crc32C,
            ChecksumAlgorithm.Crc64Nvme => GaloisField.Crc64Nvme,
            _ => throw new ArgumentException($"A full-object {algorithm.ToS3Name()} cannot be made from its parts.", nameof(algorithm)),
        };

        // The CRC of no bytes is 0, so it is where to start.
        ulong whole = 0;
        Span<byte> value = stackalloc byte[ChecksumAlgorithms.MaxDigestLength];
        foreach (var (text, size) in parts)
        {
            var crc = Decode(algorithm, text, value) == 4 ? BinaryPrimitives.ReadUInt32BigEndian(value) : BinaryPrimitives.ReadUInt64BigEndian(value);
            whole = field.Combine(whole, crc, size);
        }

        Span<byte> bytes = stackalloc byte[8];
        BinaryPrimitives.WriteUInt64BigEndian(bytes, whole);
        return new ObjectChecksums(algorithm.ToS3Name(), Convert.ToBase64String(bytes[(8 - algorithm.DigestLength())..]), ObjectChecksums.FullObject);
    }

    /// <summary>With quotes: the MD5 of the parts' MD5s, and <c>-N</c>.</summary>
    /// <param name="partETags">32 hex digits each, with or without quotes, in order.</param>
    /// <exception cref="S3Exception">InvalidPart 400 for an ETag that is no MD5.</exception>
    public static string ETag(IReadOnlyList<string> partETags)
    {
        using var md5 = IncrementalHash.CreateHash(HashAlgorithmName.MD5);
        Span<byte> value = stackalloc byte[16];
        foreach (var etag in partETags)
        {
            var hex = etag.AsSpan().Trim('"');
            if (hex.Length != 32 || Convert.FromHexString(hex, value, out _, out _) != System.Buffers.OperationStatus.Done)
            {
                throw new S3Exception(S3ErrorCode.InvalidPart);
            }

            md5.AppendData(value);
        }

        md5.GetHashAndReset(value);
        return $"\"{Convert.ToHexStringLower(value)}-{partETags.Count.ToString(CultureInfo.InvariantCulture)}\"";
    }

    private static int Decode(ChecksumAlgorithm algorithm, string text, Span<byte> value)
        => Convert.TryFromBase64String(text, value, out var written) && written == algorithm.DigestLength() ? written : throw new S3Exception(S3ErrorCode.InvalidPart);
}
