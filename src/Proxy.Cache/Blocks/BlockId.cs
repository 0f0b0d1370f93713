using System.Runtime.InteropServices;

namespace Proxy.Cache.Blocks;

/// <summary>Names one object version, or one captured part, by a 128-bit hash. Never a name of a key: two versions never share one.</summary>
[StructLayout(LayoutKind.Sequential)]
public readonly record struct ContentId(ulong High, ulong Low);

/// <summary>Names one block: piece <paramref name="Number"/> (from 0) of a content.</summary>
[StructLayout(LayoutKind.Sequential)]
public readonly record struct BlockId(ContentId Content, int Number);
