namespace Proxy.S3.Checksums;

/// <summary>A checksum fed piece by piece.</summary>
/// <remarks>Not thread-safe.</remarks>
public abstract class IncrementalChecksum : IDisposable
{
    public static IncrementalChecksum Create(ChecksumAlgorithm algorithm) => throw new NotSupportedException("Not built yet.");

    public abstract ChecksumAlgorithm Algorithm { get; }

    public abstract void Append(ReadOnlySpan<byte> bytes);

    /// <summary>Writes the value, most significant byte first, and starts anew.</summary>
    /// <param name="destination">At least <see cref="ChecksumAlgorithms.DigestLength"/> bytes.</param>
    /// <returns>Bytes written.</returns>
    public abstract int GetValueAndReset(Span<byte> destination);

    public string GetBase64AndReset()
    {
        Span<byte> value = stackalloc byte[32];
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
}
