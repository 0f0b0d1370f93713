using Proxy.Cache.Blocks;

namespace Proxy.Cache.Tiers.Nvme;

/// <summary>Brings records to disk in order: FASTER's log, or our own pages. Both leave the same bytes at the same places.</summary>
internal interface ILogWriter : IDisposable
{
    /// <summary>Where the next record goes, or a little before.</summary>
    long TailAddress { get; }

    /// <summary>All records ending at or below have been given to the device; whether it took them, <see cref="RingFile.IsBad"/> says.</summary>
    long FlushedUntilAddress { get; }

    /// <summary>Told after <see cref="FlushedUntilAddress"/> moved, on the writing thread: must be quick.</summary>
    Action? Flushed { get; set; }

    /// <summary>Copies a record into the log's buffer where <see cref="RecordPlace.AddressFor"/> says; one caller at a time.</summary>
    /// <returns>False when the buffer is full because the disk is behind: try again later.</returns>
    bool TryAppend(in BlockId id, ReadOnlySpan<byte> data, out long address);

    /// <summary>Starts writing what is in the buffer, full page or not. Does not wait.</summary>
    void Flush();

    /// <summary>Nothing below will be read again.</summary>
    void ShiftBegin(long address);
}
