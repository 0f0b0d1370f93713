using System.Buffers;
using System.Buffers.Binary;
using System.Buffers.Text;
using Proxy.S3.Checksums;

namespace Proxy.Bench.Http;

/// <summary>Sends a body as STREAMING-UNSIGNED-PAYLOAD-TRAILER: aws-chunked pieces of 64 KiB, a CRC-64/NVME as the trailer, all of it in HTTP chunks.</summary>
/// <remarks>The checksum is Proxy.S3's: a carry-less one of our own would be the same code again, and the unit tests hold it to published values.</remarks>
internal static class TrailerBody
{
    public const string TrailerName = "x-amz-checksum-crc64nvme";

    private const int PieceBytes = 64 << 10;

    // Hexadecimal digits and line ends around a piece, or the trailer.
    private const int FramingBytes = 128;

    /// <param name="body">Not empty.</param>
    public static async Task SendAsync(S3Connection connection, ReadOnlyMemory<byte> body, CancellationToken cancellation)
    {
        var buffer = ArrayPool<byte>.Shared.Rent(PieceBytes + FramingBytes);
        try
        {
            var crc = Crc64Nvme.Initial;
            for (var offset = 0; offset < body.Length; offset += PieceBytes)
            {
                var piece = body.Slice(offset, Math.Min(PieceBytes, body.Length - offset));
                crc = Crc64Nvme.Append(crc, piece.Span);
                await connection.SendAsync(buffer.AsMemory(0, WritePiece(buffer, piece.Span)), cancellation);
            }

            await connection.SendAsync(buffer.AsMemory(0, WriteTrailer(buffer, ~crc)), cancellation);
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    private static int WritePiece(Span<byte> into, ReadOnlySpan<byte> piece)
    {
        var digits = Digits(piece.Length);
        var written = WriteSize(into, digits + 2 + piece.Length + 2);
        written += WriteSize(into[written..], piece.Length);
        piece.CopyTo(into[written..]);
        written += piece.Length;
        "\r\n\r\n"u8.CopyTo(into[written..]);    // of the aws-chunked piece, of the HTTP chunk
        return written + 4;
    }

    private static int WriteTrailer(Span<byte> into, ulong crc)
    {
        Span<byte> value = stackalloc byte[12];
        Span<byte> bigEndian = stackalloc byte[8];
        BinaryPrimitives.WriteUInt64BigEndian(bigEndian, crc);
        _ = Base64.EncodeToUtf8(bigEndian, value, out _, out _);

        var length = 3 + TrailerName.Length + 1 + value.Length + 4;
        var written = WriteSize(into, length);
        "0\r\n"u8.CopyTo(into[written..]);
        written += 3;
        written += System.Text.Encoding.ASCII.GetBytes(TrailerName, into[written..]);
        into[written++] = (byte)':';
        value.CopyTo(into[written..]);
        written += value.Length;
        "\r\n\r\n\r\n0\r\n\r\n"u8.CopyTo(into[written..]);    // the trailer's line and its end, the HTTP chunk's, the last chunk
        return written + 11;
    }

    private static int WriteSize(Span<byte> into, int size)
    {
        _ = Utf8Formatter.TryFormat(size, into, out var written, new StandardFormat('x'));
        "\r\n"u8.CopyTo(into[written..]);
        return written + 2;
    }

    private static int Digits(int size) => (System.Numerics.BitOperations.Log2((uint)size) / 4) + 1;
}
