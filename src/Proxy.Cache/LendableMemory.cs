using System.Buffers;

namespace Proxy.Cache;

/// <summary>Bytes of a cached block, whose pages may be lent to the kernel instead of being copied into it.</summary>
/// <remarks>
/// Nobody is told when lent pages are no longer looked at: a client on the same machine reads the very pages, as late as it likes. So memory that was lent is never
/// written again. Once nobody here holds it, its pages go back to the system, which keeps them for whoever still looks.
/// </remarks>
public abstract class LendableMemory : MemoryManager<byte>
{
    /// <summary>To be asked by whoever holds the memory before each send of <paramref name="bytes"/> of it. Thread-safe.</summary>
    /// <returns>False: copy them.</returns>
    public abstract bool TryLend(int bytes);
}
