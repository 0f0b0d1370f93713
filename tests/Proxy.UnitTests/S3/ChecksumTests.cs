using System.Security.Cryptography;
using System.Text;
using Proxy.S3.Checksums;
using Proxy.S3.Errors;
using Proxy.S3.Objects;

namespace Proxy.UnitTests.S3;

public sealed class ChecksumTests
{
    // Check values of the catalogue of parametrised CRC algorithms; FIPS 180-4 and RFC 1321 for the hashes.
    [Theory]
    [InlineData(ChecksumAlgorithm.Crc32, "CBF43926")]
    [InlineData(ChecksumAlgorithm.Crc32C, "E3069283")]
    [InlineData(ChecksumAlgorithm.Crc64Nvme, "AE8B14860A799888")]
    [InlineData(ChecksumAlgorithm.Sha1, "F7C3BC1D808E04732ADF679965CCC34CA7AE3441")]
    [InlineData(ChecksumAlgorithm.Sha256, "15E2B0D3C33891EBB0F1EF609EC419420C20E320CE94C65FBC8C3312448EB225")]
    [InlineData(ChecksumAlgorithm.Sha512, "D9E6762DD1C8EAF6D61B3C6192FC408D4D6D5F1176D0C29169BC24E71C3F274AD27FCD5811B313D681F7E55EC02D73D499C95455B6B5BB503ACF574FBA8FFE85")]
    [InlineData(ChecksumAlgorithm.Md5, "25F9E794323B453885F5181F1B624D0B")]
    public void Checksum_CheckString_GivesCheckValue(ChecksumAlgorithm algorithm, string hex)
    {
        using var checksum = IncrementalChecksum.Create(algorithm);
        for (var i = 0; i < 2; i++)
        {
            checksum.Append("1234"u8);
            checksum.Append("56789"u8);
            var value = new byte[ChecksumAlgorithms.MaxDigestLength];
            Assert.Equal(hex, Convert.ToHexString(value, 0, checksum.GetValueAndReset(value)));
        }
    }

    // The values that xxHash's own specification and sources give for no bytes and for "abc"; most significant byte first, as S3 has them.
    [Theory]
    [InlineData(ChecksumAlgorithm.XxHash64, "", "EF46DB3751D8E999")]
    [InlineData(ChecksumAlgorithm.XxHash64, "abc", "44BC2CF5AD770999")]
    [InlineData(ChecksumAlgorithm.XxHash3, "", "2D06800538D394C2")]
    [InlineData(ChecksumAlgorithm.XxHash128, "", "99AA06D3014798D86001C324468D497F")]
    public void Checksum_XxHash_IsWrittenCanonically(ChecksumAlgorithm algorithm, string text, string hex)
    {
        using var checksum = IncrementalChecksum.Create(algorithm);
        checksum.Append(Encoding.ASCII.GetBytes(text));
        Assert.Equal(Convert.ToBase64String(Convert.FromHexString(hex)), checksum.GetBase64AndReset());
        Assert.Equal(hex.Length / 2, algorithm.DigestLength());
    }

    [Fact]
    public void Checksum_AnySplit_IsTheSame()
    {
        var random = new Random(1);
        var bytes = new byte[5000];
        random.NextBytes(bytes);
        foreach (var algorithm in ChecksumAlgorithms.All)
        {
            using var whole = IncrementalChecksum.Create(algorithm);
            using var pieces = IncrementalChecksum.Create(algorithm);
            for (var run = 0; run < 200; run++)
            {
                var length = random.Next(bytes.Length);
                whole.Append(bytes.AsSpan(0, length));
                for (var at = 0; at < length;)
                {
                    var piece = Math.Min(random.Next(1, 700), length - at);
                    pieces.Append(bytes.AsSpan(at, piece));
                    at += piece;
                }

                Assert.Equal(whole.GetBase64AndReset(), pieces.GetBase64AndReset());
            }
        }
    }

    [Fact]
    public void Crc64Nvme_Multiplied_IsWhatTheTablesGive()
    {
        var random = new Random(2);
        var bytes = new byte[4096];
        random.NextBytes(bytes);
        for (var length = 0; length < bytes.Length; length += random.Next(1, 9))
        {
            var state = (ulong)random.NextInt64();
            Assert.Equal(Crc64Nvme.AppendByTables(state, bytes.AsSpan(0, length)), Crc64Nvme.Append(state, bytes.AsSpan(0, length)));
        }
    }

    [Theory]
    [InlineData(ChecksumAlgorithm.Crc32)]
    [InlineData(ChecksumAlgorithm.Crc32C)]
    [InlineData(ChecksumAlgorithm.Crc64Nvme)]
    public void FullObject_OfParts_IsTheChecksumOfAllBytes(ChecksumAlgorithm algorithm)
    {
        var random = new Random(3);
        var bytes = new byte[100_000];
        random.NextBytes(bytes);
        using var checksum = IncrementalChecksum.Create(algorithm);
        for (var run = 0; run < 50; run++)
        {
            var parts = new List<(string, long)>();
            var total = random.Next(bytes.Length);
            for (var at = 0; at < total;)
            {
                var size = Math.Min(random.Next(30_000), total - at);
                checksum.Append(bytes.AsSpan(at, size));
                parts.Add((checksum.GetBase64AndReset(), size));
                at += size;
            }

            checksum.Append(bytes.AsSpan(0, total));
            Assert.Equal(new ObjectChecksums(algorithm.ToS3Name(), checksum.GetBase64AndReset(), ObjectChecksums.FullObject), MultipartChecksum.FullObject(algorithm, parts));
        }
    }

    [Fact]
    public void FullObject_OfSha256_IsRefused()
        => Assert.Throws<ArgumentException>(() => MultipartChecksum.FullObject(ChecksumAlgorithm.Sha256, []));

    [Fact]
    public void Composite_OfParts_IsTheHashOfTheirHashes()
    {
        byte[][] parts = [SHA256.HashData("a"u8), SHA256.HashData("b"u8)];
        var expected = Convert.ToBase64String(SHA256.HashData([.. parts[0], .. parts[1]])) + "-2";
        Assert.Equal(new ObjectChecksums("SHA256", expected, "COMPOSITE"), MultipartChecksum.Composite(ChecksumAlgorithm.Sha256, [.. parts.Select(Convert.ToBase64String)]));
        Assert.Equal(S3ErrorCode.InvalidPart, Assert.Throws<S3Exception>(() => MultipartChecksum.Composite(ChecksumAlgorithm.Sha256, ["AAAA"])).Code);
    }

    [Fact]
    public void ETag_OfParts_IsTheMd5OfTheirMd5s()
    {
        var parts = new[] { "one", "two", "three" }.Select(text => MD5.HashData(Encoding.ASCII.GetBytes(text))).ToArray();
        var expected = $"\"{Convert.ToHexStringLower(MD5.HashData([.. parts.SelectMany(part => part)]))}-3\"";
        Assert.Equal(expected, MultipartChecksum.ETag([.. parts.Select((part, i) => i == 1 ? $"\"{Convert.ToHexStringLower(part)}\"" : Convert.ToHexString(part))]));
        Assert.Throws<S3Exception>(() => MultipartChecksum.ETag(["\"abc\""]));
    }

    [Theory]
    [InlineData("CRC64NVME", ChecksumAlgorithm.Crc64Nvme)]
    [InlineData("crc32c", ChecksumAlgorithm.Crc32C)]
    [InlineData("x-amz-checksum-sha1", ChecksumAlgorithm.Sha1)]
    public void TryParse_Name_IsFoundInAnyCase(string name, ChecksumAlgorithm algorithm)
        => Assert.True(ChecksumAlgorithms.TryParse(name, out var found) && found == algorithm && !ChecksumAlgorithms.TryParse("MD4", out _));
}
