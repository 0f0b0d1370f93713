using Proxy.Cache.Blocks;

namespace Proxy.Cache.Fills;

/// <summary>Remembers, roughly, which blocks had a small cold read lately: the second one is worth the whole block.</summary>
/// <remarks>256 KiB of fingerprints; forgetting one costs a second small read, mistaking one costs one block read too much. Any thread, no lock.</remarks>
internal sealed class TouchFilter
{
    private readonly ulong[] _seen = new ulong[1 << 15];

    /// <summary>Whether this block was touched before; from now on it was.</summary>
    public bool Touch(in BlockId id)
    {
        var print = (id.Content.High * 0x9E3779B97F4A7C15) ^ id.Content.Low ^ ((ulong)(uint)id.Number * 0xC2B2AE3D27D4EB4F);
        ref var slot = ref _seen[print >> 49];
        var before = Volatile.Read(ref slot);
        Volatile.Write(ref slot, print);
        return before == print;
    }
}
