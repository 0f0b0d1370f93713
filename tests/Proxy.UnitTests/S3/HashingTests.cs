using System.Security.Cryptography;
using Proxy.S3.Auth.Hashing;

namespace Proxy.UnitTests.S3;

/// <summary>The hashes signatures are made of, by OpenSSL's plain functions and by .NET's hashers: published vectors, every length around a block's end, many threads.</summary>
public sealed class HashingTests
{
    /// <summary>FIPS 180-4's examples, as NIST publishes them.</summary>
    [Theory]
    [InlineData("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")]
    [InlineData("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1")]
    public void Hash_PublishedExamples(string text, string expected)
    {
        var bytes = System.Text.Encoding.ASCII.GetBytes(text);
        Span<byte> hash = stackalloc byte[32];
        Sha256.Hash(bytes, hash);
        Assert.Equal(expected, Convert.ToHexStringLower(hash));
        Sha256.HashByRuntime(bytes, hash);
        Assert.Equal(expected, Convert.ToHexStringLower(hash));
    }

    /// <summary>RFC 4231, cases 1 and 2.</summary>
    [Theory]
    [InlineData("0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "4869205468657265", "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7")]
    [InlineData("4a656665", "7768617420646f2079612077616e7420666f72206e6f7468696e673f", "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843")]
    public void Sign_PublishedExamples(string key, string text, string expected)
    {
        Span<byte> mac = stackalloc byte[32];
        foreach (var byRuntime in Ways())
        {
            new HmacSha256(Convert.FromHexString(key), byRuntime).Sign(Convert.FromHexString(text), mac);
            Assert.Equal(expected, Convert.ToHexStringLower(mac));
        }
    }

    [Fact]
    public void EveryLength_IsWhatRuntimeSays()
    {
        var bytes = new byte[20_000];
        new Random(1).NextBytes(bytes);
        var key = bytes[..32];
        Span<byte> hash = stackalloc byte[32];
        foreach (var length in Enumerable.Range(0, 400).Concat([4095, 4096, 4097, 8192, 8193, 20_000]))
        {
            var text = bytes.AsSpan(0, length);
            Sha256.Hash(text, hash);
            Assert.Equal(SHA256.HashData(text), hash.ToArray());
            foreach (var byRuntime in Ways())
            {
                new HmacSha256(key, byRuntime).Sign(text, hash);
                Assert.Equal(HMACSHA256.HashData(key, text), hash.ToArray());
            }
        }
    }

    [Fact]
    public void Append_InPieces_IsAsInOne()
    {
        Assert.SkipUnless(OpenSslSha256.IsAvailable, "no libcrypto.so.3 that offers SHA256_Update outside FIPS");
        var bytes = new byte[300];
        new Random(2).NextBytes(bytes);
        Span<byte> hash = stackalloc byte[32];
        for (var cut = 0; cut <= bytes.Length; cut++)
        {
            var state = OpenSslSha256.Start();
            OpenSslSha256.Append(ref state, bytes.AsSpan(0, cut));
            var copy = state;
            OpenSslSha256.Append(ref state, bytes.AsSpan(cut));
            OpenSslSha256.Finish(ref state, hash);
            Assert.Equal(SHA256.HashData(bytes), hash.ToArray());
            OpenSslSha256.Finish(ref copy, hash);
            Assert.Equal(SHA256.HashData(bytes.AsSpan(0, cut)), hash.ToArray());
        }
    }

    [Fact]
    public void Sign_ManyThreadsWithOneKey_EachHasItsOwn()
    {
        var key = new byte[32];
        new Random(3).NextBytes(key);
        foreach (var byRuntime in Ways())
        {
            var hmac = new HmacSha256(key, byRuntime);
            Parallel.For(0, 2_000, new ParallelOptions { MaxDegreeOfParallelism = 8 }, i =>
            {
                var text = BitConverter.GetBytes(i);
                Span<byte> mac = stackalloc byte[32];
                hmac.Sign(text, mac);
                Assert.True(mac.SequenceEqual(HMACSHA256.HashData(key, text)));
            });
        }
    }

    [Fact]
    public void TooLittleRoom_IsAnArgumentsError()
    {
        Assert.Throws<ArgumentOutOfRangeException>(() => new HmacSha256(new byte[65]));
        foreach (var byRuntime in Ways())
        {
            Assert.ThrowsAny<ArgumentException>(() => new HmacSha256(new byte[32], byRuntime).Sign([1], new byte[31]));
        }
    }

    private static IEnumerable<bool> Ways() => OpenSslSha256.IsAvailable ? [false, true] : [true];
}
