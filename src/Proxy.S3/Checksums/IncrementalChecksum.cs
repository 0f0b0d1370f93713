using System.Buffers.Binary;
using System.IO.Hashing;
using System.Numerics;
using System.Runtime.InteropServices;
using System.Security.Cryptography;

namespace Proxy.S3.Checksums;

/// <summary>A checksum fed piece by piece.</summary>
/// <remarks>Not thread-safe.</remarks>
public abstract class IncrementalChecksum : IDisposable
{
    public abstract ChecksumAlgorithm Algorithm { get; }

    public static IncrementalChecksum Create(ChecksumAlgorithm algorithm) => algorithm switch
    {
        ChecksumAlgorithm.Crc32 => new Crc32Checksum(),
        ChecksumAlgorithm.Crc32C => new Crc32CChecksum(),
        ChecksumAlgorithm.Crc64Nvme => new Crc64NvmeChecksum(),
        ChecksumAlgorithm.Sha1 => new HashChecksum(algorithm, HashAlgorithmName.SHA1),
        ChecksumAlgorithm.Sha256 => new HashChecksum(algorithm, HashAlgorithmName.SHA256),
        ChecksumAlgorithm.Sha512 => new HashChecksum(algorithm, HashAlgorithmName.SHA512),
        ChecksumAlgorithm.Md5 => new HashChecksum(algorithm, HashAlgorithmName.MD5),
        ChecksumAlgorithm.XxHash64 => new XxHashChecksum(algorithm, new XxHash64()),
        ChecksumAlgorithm.XxHash3 => new XxHashChecksum(algorithm, new XxHash3()),
        ChecksumAlgorithm.XxHash128 => new XxHashChecksum(algorithm, new XxHash128()),
        _ => throw new ArgumentOutOfRangeException(nameof(algorithm)),
    };

    public abstract void Append(ReadOnlySpan<byte> bytes);

    /// <summary>Writes the value, most significant byte first, and starts anew.</summary>
    /// <param name="destination">At least <see cref="ChecksumAlgorithms.DigestLength"/> bytes.</param>
    /// <returns>Bytes written.</returns>
    public abstract int GetValueAndReset(Span<byte> destination);

    public string GetBase64AndReset()
    {
        Span<byte> value = stackalloc byte[ChecksumAlgorithms.MaxDigestLength];
        return Convert.ToBase64String(value[..GetValueAndReset(value)]);
    }

    public void Dispose()
    {
        Dispose(disposing: true);
        GC.SuppressFinalize(this);
    }

    protected virtual void Dispose(bool disposing)
    {
    }

    private sealed class Crc32Checksum : IncrementalChecksum
    {
        private readonly Crc32 _crc = new();

        public override ChecksumAlgorithm Algorithm => ChecksumAlgorithm.Crc32;

        public override void Append(ReadOnlySpan<byte> bytes) => _crc.Append(bytes);

        public override int GetValueAndReset(Span<byte> destination)
        {
            BinaryPrimitives.WriteUInt32BigEndian(destination, _crc.GetCurrentHashAsUInt32());
            _crc.Reset();
            return 4;
        }
    }

    private sealed class Crc32CChecksum : IncrementalChecksum
    {
        private uint _state = uint.MaxValue;

        public override ChecksumAlgorithm Algorithm => ChecksumAlgorithm.Crc32C;

        public override void Append(ReadOnlySpan<byte> bytes)
        {
            var state = _state;
            var words = MemoryMarshal.Cast<byte, ulong>(bytes);
            foreach (var word in words)
            {
                state = BitOperations.Crc32C(state, BitConverter.IsLittleEndian ? word : BinaryPrimitives.ReverseEndianness(word));
            }

            foreach (var b in bytes[(words.Length * sizeof(ulong))..])
            {
                state = BitOperations.Crc32C(state, b);
            }

            _state = state;
        }

        public override int GetValueAndReset(Span<byte> destination)
        {
            BinaryPrimitives.WriteUInt32BigEndian(destination, ~_state);
            _state = uint.MaxValue;
            return 4;
        }
    }

    private sealed class Crc64NvmeChecksum : IncrementalChecksum
    {
        private ulong _state = Crc64Nvme.Initial;

        public override ChecksumAlgorithm Algorithm => ChecksumAlgorithm.Crc64Nvme;

        public override void Append(ReadOnlySpan<byte> bytes) => _state = Crc64Nvme.Append(_state, bytes);

        public override int GetValueAndReset(Span<byte> destination)
        {
            BinaryPrimitives.WriteUInt64BigEndian(destination, ~_state);
            _state = Crc64Nvme.Initial;
            return 8;
        }
    }

    private sealed class XxHashChecksum(ChecksumAlgorithm algorithm, NonCryptographicHashAlgorithm hash) : IncrementalChecksum
    {
        public override ChecksumAlgorithm Algorithm => algorithm;

        public override void Append(ReadOnlySpan<byte> bytes) => hash.Append(bytes);

        public override int GetValueAndReset(Span<byte> destination) => hash.GetHashAndReset(destination);
    }

    private sealed class HashChecksum(ChecksumAlgorithm algorithm, HashAlgorithmName name) : IncrementalChecksum
    {
        private readonly IncrementalHash _hash = IncrementalHash.CreateHash(name);

        public override ChecksumAlgorithm Algorithm => algorithm;

        public override void Append(ReadOnlySpan<byte> bytes) => _hash.AppendData(bytes);

        public override int GetValueAndReset(Span<byte> destination) => _hash.GetHashAndReset(destination);

        protected override void Dispose(bool disposing)
        {
            _hash.Dispose();
            base.Dispose(disposing);
        }
    }
}
