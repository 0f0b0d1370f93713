namespace Proxy.Cache.Blocks;

/// <content>One size of the pool's.</content>
internal sealed unsafe partial class BlockPool
{
    /// <summary>Slots of one size: warm ones hold memory, cold ones only an address.</summary>
    private sealed class SizeClass(int slotBytes, long capacityBytes)
    {
        private readonly Lock _lock = new();
        private readonly Stack<nint> _warm = new();
        private readonly ColdSlots _cold = new(slotBytes);
        private readonly List<(nint Address, nint Bytes)> _extents = [];
        private readonly LentSlots _lent = new(slotBytes, (int)Math.Clamp(capacityBytes / KeptIdleShare / slotBytes, 1, MaxWaitingLent));
        private readonly bool _isHalf = NativePages.AreHalves(slotBytes);
        private byte* _next;
        private byte* _end;

        public int SlotBytes { get; } = slotBytes;

        /// <summary>A moment's look, without the lock.</summary>
        public int WarmSlots => _warm.Count;

        /// <summary>Whether lent slots wait for the rest of their page; a moment's look, without the lock.</summary>
        public bool AnyLent => _lent.AnyWaiting;

        /// <summary>Large pages of which one half has no memory; a moment's look, without the lock.</summary>
        public int BrokenPages => _cold.Halves;

        /// <summary>One slot, of which two are a large page.</summary>
        public bool IsHalfAPage((nint Address, int Bytes) slots) => _isHalf && slots.Bytes == SlotBytes;

        public bool TryTakeWarm(out byte* address)
        {
            lock (_lock)
            {
                var any = _warm.TryPop(out var slot);
                address = (byte*)slot;
                return any;
            }
        }

        public void PutWarm(byte* address)
        {
            lock (_lock)
            {
                _warm.Push((nint)address);
            }
        }

        /// <summary>A slot that may have been lent, or whose other half may.</summary>
        /// <inheritdoc cref="LentSlots.Add"/>
        public (nint Address, int Bytes) PutFree(byte* address, bool wasLent)
        {
            lock (_lock)
            {
                var back = _lent.Add((nint)address, wasLent);
                if (!wasLent && back.Bytes == 0)
                {
                    _warm.Push((nint)address);
                }

                return back;
            }
        }

        /// <inheritdoc cref="LentSlots.TakeWaiting"/>
        public (nint Address, int Bytes) TakeLent()
        {
            lock (_lock)
            {
                return _lent.TakeWaiting();
            }
        }

        /// <inheritdoc cref="ColdSlots.TryTake"/>
        public byte* TakeCold(Action? faults, out bool completesPage)
        {
            lock (_lock)
            {
                if (_cold.TryTake(out var slot, out completesPage))
                {
                    return (byte*)slot;
                }

                if (_next == _end)
                {
                    faults?.Invoke();
                    MapExtent_NeedsLock();
                }

                var address = _next;
                _next += SlotBytes;
                if (_isHalf)
                {
                    // Its first write makes the whole page resident: its other half is the next to go out.
                    _ = _cold.Put((nint)_next, SlotBytes);
                    _next += SlotBytes;
                }

                return address;
            }
        }

        /// <summary>A slot, or both of a large page, that went back to the system.</summary>
        /// <inheritdoc cref="ColdSlots.Put"/>
        public bool PutCold((nint Address, int Bytes) slots)
        {
            lock (_lock)
            {
                return _cold.Put(slots.Address, slots.Bytes);
            }
        }

        /// <inheritdoc cref="ColdSlots.TryTakeOther"/>
        public bool TryTakeOtherCold((nint Address, int Bytes) slots)
        {
            lock (_lock)
            {
                return IsHalfAPage(slots) && _cold.TryTakeOther(slots.Address);
            }
        }

        public void Unmap()
        {
            lock (_lock)
            {
                foreach (var (address, bytes) in _extents)
                {
                    NativePages.Unmap((byte*)address, (nuint)bytes);
                }

                _extents.Clear();
                _warm.Clear();
                _next = _end = null;
            }
        }

        private void MapExtent_NeedsLock()
        {
            var bytes = Math.Max(SlotBytes, (int)Math.Min(ExtentBytes, capacityBytes) / SlotBytes * SlotBytes);
            if (_isHalf)
            {
                bytes = (bytes + NativePages.LargePageBytes - 1) & ~(NativePages.LargePageBytes - 1);
            }

            _next = NativePages.Map((nuint)bytes, NativePages.AreLarge(SlotBytes));
            _end = _next + bytes;
            _extents.Add(((nint)_next, bytes));
        }
    }
}
