namespace Proxy.Cache.Blocks;

/// <summary>One counted reference to the bytes of a block, or to a slice of them.</summary>
/// <remarks>
/// Disposed exactly once by its last owner; handing it on hands the duty on. A struct, so that a hit allocates nothing: never dispose two copies.
/// The default value is "nothing" and may be disposed.
/// </remarks>
internal readonly struct BlockLease : IDisposable
{
    private readonly Block? _block;
    private readonly int _offset;
    private readonly int _length;

    /// <summary>Takes over one reference of the caller's.</summary>
    public BlockLease(Block block)
        : this(block, 0, block.Length)
    {
    }

    /// <inheritdoc cref="BlockLease(Block)"/>
    public BlockLease(Block block, int offset, int length)
    {
        _block = block;
        _offset = offset;
        _length = length;
    }

    public bool HasValue => _block is not null;

    public int Length => _length;

    /// <summary>Valid until <see cref="Dispose"/>.</summary>
    public ReadOnlyMemory<byte> Memory => _block is null ? default : _block.Memory.Slice(_offset, _length);

    public ReadOnlySpan<byte> Span => _block is null ? default : _block.Span.Slice(_offset, _length);

    /// <summary>The block behind it; it lives as long as the lease.</summary>
    internal Block? Block => _block;

    /// <summary>The same reference, narrowed: use the result instead of this one.</summary>
    public BlockLease Slice(int offset, int length)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(offset);
        ArgumentOutOfRangeException.ThrowIfNegative(length);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(offset + length, _length);
        return _block is null ? default : new BlockLease(_block, _offset + offset, length);
    }

    public void Dispose() => _block?.Release();
}
