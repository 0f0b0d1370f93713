using System.Buffers;
using System.Diagnostics;

namespace Proxy.Cache.Blocks;

/// <summary>A counted piece of native memory, 4 KiB-aligned, holding the bytes of one block (or of a part of one).</summary>
/// <remarks>
/// Rented from <see cref="BlockPool"/> with one reference, which belongs to who rented it. Whoever holds a reference may read; only the
/// renter writes, and only before anybody else can see the block. When the last reference is released the memory goes back to the pool;
/// the object itself is never used again, so a stale <see cref="TryAcquire"/> fails instead of finding another block's bytes. Thread-safe.
/// </remarks>
internal sealed unsafe class Block : LendableMemory
{
    private readonly BlockPool _pool;
    private readonly byte* _address;
    private int _length;
    private int _references = 1;
    private bool _isSettled;
    private long _copiedBytes;

    internal Block(BlockPool pool, byte* address, int length, int capacity)
    {
        _pool = pool;
        _address = address;
        _length = length;
        Capacity = capacity;
    }

    /// <summary>Bytes of content.</summary>
    public int Length => _length;

    /// <summary>Bytes of memory behind it: what the pool charges.</summary>
    public int Capacity { get; }

    /// <summary>A multiple of 4096; stays put for the life of the block.</summary>
    public byte* Address => _address;

    public Span<byte> Span => new(_address, _length);

    /// <summary>The kernel may have its pages: they are not to be written again.</summary>
    internal bool IsLent { get; private set; }

    /// <summary>Free to be evicted: nobody but the tier holds it.</summary>
    internal bool HasOneReference => Volatile.Read(ref _references) == 1;

    /// <summary>Takes one more reference; false once the last one was released.</summary>
    public bool TryAcquire()
    {
        var seen = Volatile.Read(ref _references);
        while (seen > 0)
        {
            var before = Interlocked.CompareExchange(ref _references, seen + 1, seen);
            if (before == seen)
            {
                return true;
            }

            seen = before;
        }

        return false;
    }

    /// <summary>One more reference, as a lease of the whole block. The caller holds one already.</summary>
    public BlockLease Lease()
    {
        var alive = TryAcquire();
        Debug.Assert(alive, "Lease() needs a reference of one's own.");
        return alive ? new BlockLease(this) : default;
    }

    /// <summary>Gives one reference back; the last one frees the memory.</summary>
    public void Release()
    {
        var left = Interlocked.Decrement(ref _references);
        Debug.Assert(left >= 0, "A block was released more often than acquired.");
        if (left == 0)
        {
            _pool.Return(this);
        }
    }

    /// <summary>Fewer bytes came than were rented for: only the renter calls this, before anybody else sees the block.</summary>
    /// <remarks>The memory stays charged at <see cref="Capacity"/>.</remarks>
    public void Trim(int length)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(length);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(length, _length);
        _length = length;
    }

    /// <summary>Its content is complete and never changes again: it may be lent. Called before anybody else sees the block.</summary>
    public void Settle() => _isSettled = true;

    /// <inheritdoc/>
    /// <remarks>Lent memory costs when it is given back, so a block is copied until copies have cost about as much: never more than twice what the better choice would have.</remarks>
    public override bool TryLend(int bytes)
    {
        if (!IsLent && _isSettled && NativePages.AreOfBlocks)
        {
            // Without a lock: a lost sum is one copy more. But what another thread has lent meanwhile stays lent, so this is never set back. Who holds the block sees to it
            // that it is not given back before this is seen.
            _copiedBytes += bytes;
            if (_copiedBytes > (long)BlockPool.CopiesBeforeLending(Capacity) * Capacity && _pool.Lending.Pays)
            {
                IsLent = true;
            }
        }

        if (IsLent)
        {
            _pool.Lending.Lent(bytes);
        }

        return IsLent;
    }

    public override Span<byte> GetSpan() => new(_address, _length);

    /// <summary>Native memory does not move: nothing to pin. The handle does not count as a reference.</summary>
    public override MemoryHandle Pin(int elementIndex = 0) => new(_address + elementIndex, default, this);

    public override void Unpin()
    {
    }

    protected override void Dispose(bool disposing)
    {
    }
}
