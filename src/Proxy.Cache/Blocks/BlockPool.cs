using System.Diagnostics.CodeAnalysis;

namespace Proxy.Cache.Blocks;

/// <summary>All memory that carries payload: cached blocks, fills, captures and NVMe reads share this one bound.</summary>
/// <remarks>
/// Each size class has its own address ranges; the bound is on resident bytes. A freed slot stays resident for the next block of its
/// class until another class needs the room: then its pages go back to the system and only the address remains. So memory never
/// gets stuck in a class, and what is resident never exceeds the capacity. Full means asking <see cref="Evictor"/>, and that first while little is idle:
/// parts of NVMe blocks come and go beside whole blocks, and giving pages back to fault them in again cost a quarter of such a read. Where that gave
/// memory of another size, it changes its size before anything more is evicted. What was lent to the kernel goes back to the system, never to the next block.
/// Nothing is resident that is not counted: a large page of which one half was given back is none any more until that half is taken again.
/// Thread-safe; one lock per size class, never two at once, none while the system is asked to take pages back.
/// </remarks>
internal sealed unsafe partial class BlockPool : IDisposable
{
    private const int MaxAttempts = 64;

    // A sixteenth may lie idle: at the smallest useful tier, 64 MiB, the 64 KiB parts that 32 connections read at once, twice.
    private const int KeptIdleShare = 16;

    // Kept warm ahead of a size class that grows: a whole fill, or as many of the small ones.
    private const int AheadBytes = 32 << 20;
    private const int AheadSlots = 64;
    private const int ExtentBytes = 64 << 20;

    // Lent slots that wait for the rest of their page, of the room that may lie idle: fewer break large pages up, which reads from disk then pin piece by piece (a fifth more CPU at
    // 1 MiB). No more than a rent has attempts for.
    private const int MaxWaitingLent = MaxAttempts / 2;

    // Each page that must not be a large one is a mapping of the process's, of which Linux allows 65,530 (vm.max_map_count). What lies beyond that may be resident once more.
    private const int MostBrokenPages = 8192;

    private readonly SizeClass[] _classes = new SizeClass[SizeClasses.Count];
    private readonly PageWarmer _warmer;
    private long _residentBytes;
    private long _rentedBytes;
    private long _rentedBlocks;
    private long _refusals;
    private int _saidUnmapped;

    /// <param name="capacityBytes">Bound on resident payload memory.</param>
    public BlockPool(long capacityBytes)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(capacityBytes);
        CapacityBytes = capacityBytes;
        _warmer = new PageWarmer(TryWarm);
        for (var i = 0; i < _classes.Length; i++)
        {
            _classes[i] = new SizeClass(SizeClasses.SizeOf(i), capacityBytes);
        }
    }

    public long CapacityBytes { get; }

    internal LendingAccount Lending { get; } = new(TimeProvider.System);

    /// <summary>Bytes rented and free-but-kept: never above <see cref="CapacityBytes"/>.</summary>
    public long ResidentBytes => Interlocked.Read(ref _residentBytes);

    /// <summary>Bytes of memory behind live blocks, rounding up included.</summary>
    public long RentedBytes => Interlocked.Read(ref _rentedBytes);

    public long RentedBlocks => Interlocked.Read(ref _rentedBlocks);

    /// <summary>Rents that found nothing, even after asking to evict.</summary>
    public long Refusals => Interlocked.Read(ref _refusals);

    /// <summary>Asked, outside all locks, to release at least so many bytes; answers how many it did release (0: everything is leased).</summary>
    public Func<int, long>? Evictor { get; set; }

    /// <summary>Told once, with the reason, when the system has no addresses for more memory: the pool then does with what it has.</summary>
    public Action<string>? Unmapped { get; set; }

    /// <summary>Tests make the system refuse here; takes effect at once.</summary>
    internal Action? MapFaults { get; set; }

    /// <summary>Rents a block of exactly <paramref name="length"/> bytes, evicting if need be. The content is whatever was there before.</summary>
    /// <param name="length">1 … <see cref="SizeClasses.MaxBytes"/>.</param>
    /// <returns>False when everything is leased: the caller does without.</returns>
    public bool TryRent(int length, [NotNullWhen(true)] out Block? block)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(length);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(length, SizeClasses.MaxBytes);
        var index = SizeClasses.IndexOf(length);
        var sizeClass = _classes[index];
        for (var attempt = 0; attempt < MaxAttempts; attempt++)
        {
            var brought = _warmer.Brought;
            if (TryTake(sizeClass, out var address, out var wasCold, out var isUnmapped))
            {
                if (wasCold && MayWarm(sizeClass))
                {
                    _warmer.Ask(index);
                }

                Interlocked.Add(ref _rentedBytes, sizeClass.SlotBytes);
                Interlocked.Increment(ref _rentedBlocks);
                block = new Block(this, address, length, sizeClass.SlotBytes);
                return true;
            }

            if (isUnmapped)
            {
                // Only memory that has addresses helps: what is evicted mostly is of this size. Once: it need not be.
                if (attempt == 0 && Evictor?.Invoke(sizeClass.SlotBytes) > 0)
                {
                    continue;
                }

                break;
            }

            // Tried before and still nothing: what was evicted lies idle in another class.
            var idle = ResidentBytes - RentedBytes;
            var hasMuchIdle = idle > CapacityBytes / KeptIdleShare || (attempt > 0 && idle >= sizeClass.SlotBytes);
            if ((hasMuchIdle && DiscardIdle(sizeClass) > 0) || (Evictor?.Invoke(sizeClass.SlotBytes) ?? 0) > 0 || DiscardIdle(sizeClass) > 0
                || _warmer.HasBroughtSince(brought))
            {
                continue;
            }

            break;
        }

        Interlocked.Increment(ref _refusals);
        block = null;
        return false;
    }

    /// <summary>How often as much as a block's memory is copied before its pages are lent instead.</summary>
    /// <remarks>
    /// Where whole large pages go back to the system and come again, that takes as long as two copies of as many bytes (59 µs a MiB against 136 on a virtual machine);
    /// in pages of 4 KiB as long as three to four on most machines, and ninety on that one.
    /// </remarks>
    internal static int CopiesBeforeLending(int slotBytes) => NativePages.AreLarge(slotBytes) ? 2 : 16;

    internal void Return(Block block)
    {
        Interlocked.Add(ref _rentedBytes, -block.Capacity);
        Interlocked.Decrement(ref _rentedBlocks);
        var sizeClass = _classes[SizeClasses.IndexOf(block.Capacity)];
        if (block.IsLent)
        {
            Lending.Returned(block.Capacity);
        }

        if (block.IsLent || sizeClass.AnyLent)
        {
            GiveBack(sizeClass, sizeClass.PutFree(block.Address, block.IsLent));
        }
        else
        {
            sizeClass.PutWarm(block.Address);
        }
    }

    /// <summary>Blocks of so many bytes will be rented soon: some are made ready in the background.</summary>
    public void WarmAhead(int length) => _warmer.Ask(SizeClasses.IndexOf(length));

    public void Dispose()
    {
        _warmer.Dispose();
        foreach (var sizeClass in _classes)
        {
            sizeClass.Unmap();
        }
    }

    private bool TryTake(SizeClass sizeClass, out byte* address, out bool wasCold, out bool isUnmapped)
    {
        isUnmapped = false;
        wasCold = !sizeClass.TryTakeWarm(out address);
        return !wasCold || TryTakeCold(sizeClass, out address, out isUnmapped);
    }

    private bool TryTakeCold(SizeClass sizeClass, out byte* address, out bool isUnmapped)
    {
        address = null;
        isUnmapped = false;
        if (!TryReserve(sizeClass.SlotBytes))
        {
            return false;
        }

        try
        {
            address = sizeClass.TakeCold(MapFaults, out var completesPage);
            if (completesPage)
            {
                NativePages.MayBeLarge(PageOf((nint)address), true);
            }

            return true;
        }
        catch (Exception e) when (e is IOException or OutOfMemoryException)
        {
            isUnmapped = true;
            Interlocked.Add(ref _residentBytes, -sizeClass.SlotBytes);
            if (Interlocked.Exchange(ref _saidUnmapped, 1) == 0)
            {
                Unmapped?.Invoke(e.Message);
            }

            return false;
        }
    }

    /// <summary>Compare and swap rather than add and take back: nobody ever reads more than the capacity.</summary>
    private bool TryReserve(int bytes)
    {
        for (var resident = ResidentBytes; resident + bytes <= CapacityBytes;)
        {
            var seen = Interlocked.CompareExchange(ref _residentBytes, resident + bytes, resident);
            if (seen == resident)
            {
                return true;
            }

            resident = seen;
        }

        return false;
    }

    // Only while the pool still grows, and not more than may lie idle.
    private bool MayWarm(SizeClass sizeClass)
    {
        var idle = CapacityBytes / KeptIdleShare;
        var resident = ResidentBytes + sizeClass.SlotBytes;
        return sizeClass.WarmSlots < Math.Min(AheadSlots, AheadBytes / sizeClass.SlotBytes) && resident - RentedBytes <= idle && resident <= CapacityBytes - idle;
    }

    private bool TryWarm(int index)
    {
        var sizeClass = _classes[index];
        if (!MayWarm(sizeClass) || !TryTakeCold(sizeClass, out var address, out _))
        {
            return false;
        }

        NativePages.Populate(address, (nuint)sizeClass.SlotBytes);
        sizeClass.PutWarm(address);
        return true;
    }

    /// <summary>Turns free slots of other classes, and lent ones of any, into room for one of <paramref name="wanted"/>.</summary>
    private long DiscardIdle(SizeClass wanted)
    {
        long freed = 0;
        foreach (var other in _classes)
        {
            while (other != wanted && freed < wanted.SlotBytes && other.TryTakeWarm(out var address))
            {
                freed += GiveBack(other, ((nint)address, other.SlotBytes));
            }

            while (freed < wanted.SlotBytes && other.AnyLent && other.TakeLent() is { Bytes: > 0 } waiting)
            {
                freed += GiveBack(other, waiting);
            }
        }

        return freed;
    }

    /// <summary>Free slots of a class, side by side, go to the system. Where it does not take them they are not used again, and stay counted.</summary>
    private long GiveBack(SizeClass sizeClass, (nint Address, int Bytes) slots)
    {
        if (slots.Bytes == 0)
        {
            return 0;
        }

        // With the other half gone before it the page goes as a whole: nothing of a large one stays behind. Taken out first, or somebody would be given it meanwhile.
        var (given, wasOther) = (slots, sizeClass.TryTakeOtherCold(slots));
        if (wasOther)
        {
            given = (PageOf(slots.Address), NativePages.LargePageBytes);
        }
        else if (sizeClass.IsHalfAPage(slots) && sizeClass.BrokenPages < MostBrokenPages)
        {
            NativePages.MayBeLarge(PageOf(slots.Address), false);
        }

        if (!NativePages.TryDiscard((byte*)given.Address, (nuint)given.Bytes))
        {
            if (wasOther)
            {
                _ = sizeClass.PutCold((slots.Address ^ slots.Bytes, slots.Bytes));
            }

            return 0;
        }

        if (sizeClass.PutCold(given))
        {
            NativePages.MayBeLarge(PageOf(given.Address), true);
        }

        Interlocked.Add(ref _residentBytes, -slots.Bytes);
        return slots.Bytes;
    }

    private static nint PageOf(nint address) => address & ~(nint)(NativePages.LargePageBytes - 1);
}
