using System.Runtime.InteropServices;

namespace Proxy.Cache.Tiers.Nvme;

/// <summary>Where one thread waits until another wakes it: asleep in the kernel at once, without the runtime's own waiting around it.</summary>
/// <remarks>
/// A POSIX semaphore on Linux, a SemaphoreSlim elsewhere. Monitor.Wait and Pulse took a tenth of the CPU of a read of 64 KiB from NVMe, a SemaphoreSlim, which spins first, an eighth. A wake before
/// the wait is not lost.
/// </remarks>
internal sealed unsafe partial class Parker : IDisposable
{
    // sem_t has 32 bytes in glibc and musl on 64-bit systems; a cache line of its own.
    private const int SemaphoreBytes = 64;

    private readonly void* _semaphore;
    private readonly SemaphoreSlim? _other;

    public Parker()
        : this(isPortable: !OperatingSystem.IsLinux())
    {
    }

    internal Parker(bool isPortable)
    {
        if (!isPortable)
        {
            _semaphore = NativeMemory.AlignedAlloc(SemaphoreBytes, SemaphoreBytes);
            if (TryInit(_semaphore))
            {
                return;
            }

            NativeMemory.AlignedFree(_semaphore);
            _semaphore = null;
        }

        _other = new SemaphoreSlim(0);
    }

    /// <summary>For its one thread.</summary>
    public void Park()
    {
        if (_other is not null)
        {
            _other.Wait();
            return;
        }

        while (Wait(_semaphore) != 0)
        {
            // A signal came in between.
        }
    }

    /// <summary>Any thread; once for each <see cref="Park"/>.</summary>
    public void Unpark()
    {
        if (_other is not null)
        {
            _other.Release();
            return;
        }

        _ = Post(_semaphore);
    }

    /// <summary>When its thread has ended.</summary>
    public void Dispose()
    {
        _other?.Dispose();
        if (_semaphore != null)
        {
            _ = Destroy(_semaphore);
            NativeMemory.AlignedFree(_semaphore);
        }
    }

    private static bool TryInit(void* semaphore)
    {
        try
        {
            return Init(semaphore, 0, 0) == 0;
        }
        catch (EntryPointNotFoundException)
        {
            return false; // glibc before 2.34 has it in another library
        }
    }

    [LibraryImport("libc", EntryPoint = "sem_init")]
    private static partial int Init(void* semaphore, int isShared, uint value);

    [LibraryImport("libc", EntryPoint = "sem_wait")]
    private static partial int Wait(void* semaphore);

    [LibraryImport("libc", EntryPoint = "sem_post")]
    private static partial int Post(void* semaphore);

    [LibraryImport("libc", EntryPoint = "sem_destroy")]
    private static partial int Destroy(void* semaphore);
}
