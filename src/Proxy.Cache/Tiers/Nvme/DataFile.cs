using Microsoft.Win32.SafeHandles;

namespace Proxy.Cache.Tiers.Nvme;

internal enum DiskOperation
{
    Read,
    Write,
    Allocate,

    /// <summary>Of the table of contents; so are the next two.</summary>
    ReadContents,
    WriteContents,
    AllocateContents,
}

/// <summary>One file read and written at positions, past the page cache where that works. Blocking calls; any number of threads.</summary>
internal sealed class DataFile : IDisposable
{
    /// <summary>Offsets, lengths and buffers of every call are multiples of this.</summary>
    public const int Alignment = 4096;

    private readonly SafeFileHandle _handle;
    private long _reads;
    private long _bytesRead;
    private long _bytesWritten;

    private DataFile(SafeFileHandle handle, string path, bool isDirect)
    {
        _handle = handle;
        Path = path;
        IsDirect = isDirect;
    }

    public string Path { get; }

    public bool IsDirect { get; }

    public long Reads => Interlocked.Read(ref _reads);

    public long BytesRead => Interlocked.Read(ref _bytesRead);

    public long BytesWritten => Interlocked.Read(ref _bytesWritten);

    public long Length => RandomAccess.GetLength(_handle);

    /// <summary>Tests make the disk fail here: throw to fail the operation, wait to slow it down.</summary>
    internal Action<DiskOperation, long>? Faults { get; set; }

    public static DataFile Open(string path, DirectIo directIo)
    {
        if (directIo == DirectIo.Auto && Native.TryOpenDirect(path) is { } direct)
        {
            return new DataFile(direct, path, isDirect: true);
        }

        return new DataFile(File.OpenHandle(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.ReadWrite), path, isDirect: false);
    }

    /// <exception cref="IOException">The device failed, or the file ends within the range.</exception>
    public void Read(Span<byte> buffer, long offset)
    {
        Faults?.Invoke(DiskOperation.Read, offset);
        Interlocked.Increment(ref _reads);
        var done = 0;
        while (done < buffer.Length)
        {
            var got = RandomAccess.Read(_handle, buffer[done..], offset + done);
            if (got <= 0)
            {
                throw new EndOfStreamException($"{Path} ends at {offset + done}, {buffer.Length - done} bytes early.");
            }

            done += got;
        }

        Interlocked.Add(ref _bytesRead, done);
    }

    /// <exception cref="IOException">The device failed.</exception>
    public void Write(ReadOnlySpan<byte> bytes, long offset)
    {
        Faults?.Invoke(DiskOperation.Write, offset);
        RandomAccess.Write(_handle, bytes, offset);
        Interlocked.Add(ref _bytesWritten, bytes.Length);
    }

    /// <summary>Reserves space; a file system that cannot only gets the length.</summary>
    /// <exception cref="IOException">No space, or the device failed.</exception>
    public void Allocate(long offset, long length)
    {
        Faults?.Invoke(DiskOperation.Allocate, offset);
        var error = Native.Allocate(_handle, offset, length);
        if (error == Native.NotSupported)
        {
            RandomAccess.SetLength(_handle, Math.Max(Length, offset + length));
        }
        else if (error != 0)
        {
            throw new IOException($"Reserving {length} bytes of {Path} failed (errno {error}).", error);
        }
    }

    /// <summary>Cuts off what a reservation that failed halfway has taken.</summary>
    public void GiveBackFrom(long offset)
    {
        if (Length > offset)
        {
            RandomAccess.SetLength(_handle, offset);
        }
    }

    public void Dispose() => _handle.Dispose();
}
