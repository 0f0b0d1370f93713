namespace Proxy.UnitTests.S3;

/// <summary>Payloads as tests send and read them.</summary>
internal static class PayloadStreams
{
    /// <summary>To its end, and closes it.</summary>
    public static async Task<byte[]> ReadAllAsync(Stream stream)
    {
        await using (stream)
        {
            using var output = new MemoryStream();
            var buffer = new byte[50_000];
            while (await stream.ReadAsync(buffer) is > 0 and var read)
            {
                output.Write(buffer, 0, read);
            }

            return output.ToArray();
        }
    }

    /// <summary>Gives at most so many bytes a read, like a network.</summary>
    public sealed class Piecewise(byte[] bytes, int piece) : MemoryStream(bytes)
    {
        public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
            => base.ReadAsync(buffer[..Math.Min(buffer.Length, piece)], cancellationToken);
    }
}
