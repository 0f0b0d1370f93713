using System.Buffers;
using System.Security.Cryptography;
using Proxy.Bench.Http;

namespace Proxy.Bench.Workloads;

/// <summary>Compares one response's body, as it comes, with what the object holds there.</summary>
/// <remarks>Read anew by every retry of its request; a byte that differed in a try before stays wrong, for clients hand on what has come. Not thread-safe.</remarks>
internal sealed class BodyCheck(DatasetObject item, long start, long length, bool withMd5)
{
    // What was received is compared while it lies in L2. 96 to 256 KiB cost the same where L2 has 1 MiB, 32 KiB a fifth more in system calls; many processors have less L2.
    private const int ReadBytes = 128 << 10;

    /// <summary>What differed, or null.</summary>
    public string? Wrong { get; private set; }

    /// <summary>The entity tag the bytes ought to have; null without MD5.</summary>
    public string? ExpectedETag { get; private set; }

    public async ValueTask ReadAsync(ResponseHead head, S3Connection connection, CancellationToken cancellation)
    {
        using var digest = withMd5 ? new EtagDigest(item) : null;
        var buffer = ArrayPool<byte>.Shared.Rent(ReadBytes);
        try
        {
            var offset = start;
            int read;
            while ((read = await connection.ReadBodyAsync(buffer.AsMemory(0, ReadBytes), cancellation)) > 0)
            {
                var bytes = buffer.AsSpan(0, read);
                var difference = Wrong is null ? item.Content.FirstDifference(bytes, offset) : -1;
                if (difference >= 0)
                {
                    Wrong = $"byte {difference} differs (X-Cache {head.CacheOutcome ?? "none"})";
                }

                digest?.Append(bytes);
                offset += read;
            }

            if (Wrong is null && offset - start != length)
            {
                Wrong = $"{offset - start} bytes, {length} were due";
            }

            ExpectedETag = digest?.Finish();
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    /// <summary>S3's entity tag of an object: MD5, or MD5 of the parts' MD5s with their number.</summary>
    private sealed class EtagDigest(DatasetObject item) : IDisposable
    {
        private readonly IncrementalHash _part = IncrementalHash.CreateHash(HashAlgorithmName.MD5);
        private readonly IncrementalHash _parts = IncrementalHash.CreateHash(HashAlgorithmName.MD5);
        private int _inPart;

        public void Append(ReadOnlySpan<byte> bytes)
        {
            while (item.IsMultipart && _inPart + bytes.Length >= DatasetObject.PartBytes)
            {
                var end = DatasetObject.PartBytes - _inPart;
                _part.AppendData(bytes[..end]);
                _parts.AppendData(_part.GetHashAndReset());
                _inPart = 0;
                bytes = bytes[end..];
            }

            _part.AppendData(bytes);
            _inPart += bytes.Length;
        }

        public string Finish()
        {
            if (!item.IsMultipart)
            {
                return $"\"{Convert.ToHexStringLower(_part.GetHashAndReset())}\"";
            }

            if (_inPart > 0)
            {
                _parts.AppendData(_part.GetHashAndReset());
            }

            return $"\"{Convert.ToHexStringLower(_parts.GetHashAndReset())}-{item.PartCount}\"";
        }

        public void Dispose()
        {
            _part.Dispose();
            _parts.Dispose();
        }
    }
}
