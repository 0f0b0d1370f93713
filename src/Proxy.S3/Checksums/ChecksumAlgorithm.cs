using System.Diagnostics.CodeAnalysis;
using Proxy.S3.Objects;

namespace Proxy.S3.Checksums;

/// <summary>The checksum algorithms of S3's x-amz-checksum-* headers.</summary>
public enum ChecksumAlgorithm
{
    Crc32,
    Crc32C,
    Crc64Nvme,
    Sha1,
    Sha256,
    Sha512,
    Md5,
    XxHash64,
    XxHash3,
    XxHash128,
}

/// <summary>Names and sizes of the algorithms.</summary>
public static class ChecksumAlgorithms
{
    /// <summary>Bytes of the longest value: SHA-512's.</summary>
    public const int MaxDigestLength = 64;

    public static IReadOnlyList<ChecksumAlgorithm> All { get; } =
        Enum.GetValues<ChecksumAlgorithm>();

    /// <summary>As in XML and in x-amz-checksum-algorithm: CRC32, CRC32C, CRC64NVME, SHA1, SHA256, SHA512, MD5, XXHASH64, XXHASH3, XXHASH128.</summary>
    public static string ToS3Name(this ChecksumAlgorithm algorithm) => algorithm switch
    {
        ChecksumAlgorithm.Crc32 => "CRC32",
        ChecksumAlgorithm.Crc32C => "CRC32C",
        ChecksumAlgorithm.Crc64Nvme => "CRC64NVME",
        ChecksumAlgorithm.Sha1 => "SHA1",
        ChecksumAlgorithm.Sha256 => "SHA256",
        ChecksumAlgorithm.Sha512 => "SHA512",
        ChecksumAlgorithm.Md5 => "MD5",
        ChecksumAlgorithm.XxHash64 => "XXHASH64",
        ChecksumAlgorithm.XxHash3 => "XXHASH3",
        ChecksumAlgorithm.XxHash128 => "XXHASH128",
        _ => throw new ArgumentOutOfRangeException(nameof(algorithm)),
    };

    /// <summary>x-amz-checksum-crc32 and so on.</summary>
    public static string ToHeaderName(this ChecksumAlgorithm algorithm) => algorithm switch
    {
        ChecksumAlgorithm.Crc32 => "x-amz-checksum-crc32",
        ChecksumAlgorithm.Crc32C => "x-amz-checksum-crc32c",
        ChecksumAlgorithm.Crc64Nvme => "x-amz-checksum-crc64nvme",
        ChecksumAlgorithm.Sha1 => "x-amz-checksum-sha1",
        ChecksumAlgorithm.Sha256 => "x-amz-checksum-sha256",
        ChecksumAlgorithm.Sha512 => "x-amz-checksum-sha512",
        ChecksumAlgorithm.Md5 => "x-amz-checksum-md5",
        ChecksumAlgorithm.XxHash64 => "x-amz-checksum-xxhash64",
        ChecksumAlgorithm.XxHash3 => "x-amz-checksum-xxhash3",
        ChecksumAlgorithm.XxHash128 => "x-amz-checksum-xxhash128",
        _ => throw new ArgumentOutOfRangeException(nameof(algorithm)),
    };

    /// <summary>Bytes of the value before base64.</summary>
    public static int DigestLength(this ChecksumAlgorithm algorithm) => algorithm switch
    {
        ChecksumAlgorithm.Crc32 or ChecksumAlgorithm.Crc32C => 4,
        ChecksumAlgorithm.Crc64Nvme or ChecksumAlgorithm.XxHash64 or ChecksumAlgorithm.XxHash3 => 8,
        ChecksumAlgorithm.Md5 or ChecksumAlgorithm.XxHash128 => 16,
        ChecksumAlgorithm.Sha1 => 20,
        ChecksumAlgorithm.Sha256 => 32,
        ChecksumAlgorithm.Sha512 => MaxDigestLength,
        _ => throw new ArgumentOutOfRangeException(nameof(algorithm)),
    };

    /// <summary>Whether the checksum of a whole can be had from those of its parts (FULL_OBJECT): the CRCs alone.</summary>
    public static bool IsCrc(this ChecksumAlgorithm algorithm) => algorithm is ChecksumAlgorithm.Crc32 or ChecksumAlgorithm.Crc32C or ChecksumAlgorithm.Crc64Nvme;

    /// <summary>What a multipart upload's checksum is when the client does not say: CRC64NVME has no composite form, the others had one first.</summary>
    public static string MultipartType(this ChecksumAlgorithm algorithm) => algorithm == ChecksumAlgorithm.Crc64Nvme ? ObjectChecksums.FullObject : ObjectChecksums.Composite;

    /// <summary>From the S3 name or the header name, in any case.</summary>
    public static bool TryParse([NotNullWhen(true)] string? name, out ChecksumAlgorithm algorithm)
    {
        foreach (var one in All)
        {
            if (string.Equals(name, one.ToS3Name(), StringComparison.OrdinalIgnoreCase) || string.Equals(name, one.ToHeaderName(), StringComparison.OrdinalIgnoreCase))
            {
                algorithm = one;
                return true;
            }
        }

        algorithm = default;
        return false;
    }
}
