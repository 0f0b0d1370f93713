using System.Runtime.InteropServices;

namespace Proxy.Cache.Blocks;

/// <summary>Pages straight from the operating system: mapped once, given back and taken again without unmapping.</summary>
internal static unsafe partial class NativePages
{
    /// <summary>What x86-64 and arm64 with pages of 4 KiB have.</summary>
    public const int LargePageBytes = 2 << 20;

    private const int ProtectionReadWrite = 3;
    private const int PrivateAnonymousNoReserve = 0x4022;
    private const int AdviceDontNeed = 4;
    private const int AdviceHugePage = 14;
    private const int AdviceNoHugePage = 15;
    private const int AdvicePopulateWrite = 23;
    private const int AdviceCollapse = 25;
    private const nuint HugePageBytes = LargePageBytes;

    /// <summary>Maps <paramref name="bytes"/> of zeroed memory that cost nothing until touched.</summary>
    /// <param name="large">
    /// Ask for large pages: fewer faults and TLB misses where whole megabytes are filled and sent. Without it there must be none, also where the system makes them of whatever
    /// it finds (transparent_hugepage/enabled: always): parts of one that were given back would come again by themselves.
    /// </param>
    /// <exception cref="IOException">The address space or the container's limit is spent.</exception>
    public static byte* Map(nuint bytes, bool large)
    {
        if (!OperatingSystem.IsLinux())
        {
            return (byte*)NativeMemory.AlignedAlloc(bytes, SizeClasses.PageBytes);
        }

        // Over-mapped by one large page so that the arena can start on a boundary of one; untouched pages are free.
        var slack = large ? HugePageBytes : 0;
        var mapped = mmap(null, bytes + slack, ProtectionReadWrite, PrivateAnonymousNoReserve, -1, 0);
        if (mapped == (void*)-1)
        {
            throw new IOException($"Mapping {bytes} bytes for the memory tier failed (errno {Marshal.GetLastPInvokeError()}): lower MemoryCapacityBytes or raise the limit.");
        }

        if (!large)
        {
            _ = madvise(mapped, bytes, AdviceNoHugePage);
            return (byte*)mapped;
        }

        var start = (byte*)(((nuint)mapped + HugePageBytes - 1) & ~(HugePageBytes - 1));
        _ = madvise(start, bytes, AdviceHugePage);
        return start;
    }

    /// <summary>Has the system find the pages now, as their first write would. Where it cannot, they cost at their first write.</summary>
    public static void Populate(byte* address, nuint bytes)
    {
        if (OperatingSystem.IsLinux())
        {
            _ = madvise(address, bytes, AdvicePopulateWrite);
        }
    }

    /// <summary>Turns memory that is in use already into large pages, where the kernel can (Linux 6.1): the device's driver then pins one and not 512.</summary>
    public static void MakeLarge(nint address, int bytes)
    {
        if (OperatingSystem.IsLinux())
        {
            var start = ((nuint)address + HugePageBytes - 1) & ~(HugePageBytes - 1);
            var end = ((nuint)address + (nuint)bytes) & ~(HugePageBytes - 1);
            if (end > start)
            {
                _ = madvise((void*)start, end - start, AdviceCollapse);
            }
        }
    }

    /// <summary>Two slots of this size, side by side, are one large page.</summary>
    public static bool AreHalves(int slotBytes) => OperatingSystem.IsLinux() && slotBytes * 2 == LargePageBytes;

    /// <summary>Slots of this size are large pages, or halves of one: what is given back breaks no page that somebody else has a part of.</summary>
    public static bool AreLarge(int slotBytes) => slotBytes % LargePageBytes == 0 || slotBytes * 2 == LargePageBytes;

    /// <summary>Whether the system may put a large page where one fits, at the next write or by itself within minutes.</summary>
    /// <remarks>To be told before a part of one is given back, and after it has come again: a large page is resident as a whole, beside what anybody counts.</remarks>
    public static void MayBeLarge(nint page, bool may)
    {
        if (OperatingSystem.IsLinux())
        {
            _ = madvise((void*)page, HugePageBytes, may ? AdviceHugePage : AdviceNoHugePage);
        }
    }

    /// <summary>Pages are of the size that <see cref="SizeClasses"/> counts in: what is given back is all of a block and nothing of another.</summary>
    public static bool AreOfBlocks { get; } = OperatingSystem.IsLinux() && Environment.SystemPageSize == SizeClasses.PageBytes;

    /// <summary>Gives the pages' memory back while keeping their addresses. Off Linux they stay resident, and so do those of which a part is somebody else's.</summary>
    /// <returns>False when the system refuses: the pages are still there.</returns>
    public static bool TryDiscard(byte* address, nuint bytes)
    {
        var (start, length) = WholePages((nuint)address, bytes, (nuint)Environment.SystemPageSize);
        return length == 0 || !OperatingSystem.IsLinux() || madvise((void*)start, length, AdviceDontNeed) == 0;
    }

    /// <summary>What lies in whole pages: madvise(2) rounds a length up, over what lies behind.</summary>
    internal static (nuint Start, nuint Length) WholePages(nuint address, nuint bytes, nuint pageBytes)
    {
        var start = (address + pageBytes - 1) & ~(pageBytes - 1);
        var end = (address + bytes) & ~(pageBytes - 1);
        return end > start ? (start, end - start) : default;
    }

    public static void Unmap(byte* address, nuint bytes)
    {
        if (OperatingSystem.IsLinux())
        {
            _ = munmap(address, bytes);
        }
        else
        {
            NativeMemory.AlignedFree(address);
        }
    }

#pragma warning disable SYSLIB1054, CA5392 // libc by its own names
    [LibraryImport("libc", SetLastError = true)]
    private static partial void* mmap(void* address, nuint length, int protection, int flags, int descriptor, nint offset);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int munmap(void* address, nuint length);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int madvise(void* address, nuint length, int advice);
#pragma warning restore SYSLIB1054, CA5392
}
