using System.Collections.Concurrent;
using System.IO.Hashing;
using System.Runtime.InteropServices;
using Proxy.S3.Objects;

namespace Proxy.UnitTests.Cache;

/// <summary>A key of the oracle, and which of its versions may be seen: the last one that ended before a read began, and all that began before it is over.</summary>
internal sealed class OracleKey(ObjectId id)
{
    // Every version is a window of this, so that a million answers can be compared byte by byte.
    private static readonly byte[] Noise = CacheFixture.Random(4 << 20, 99);

    private readonly ConcurrentDictionary<int, bool> _deleted = new();
    private readonly Lock _lock = new();
    private readonly List<int> _begun = [];
    private int _ended = -1;
    private int _next;

    public ObjectId Id { get; } = id;

    public SemaphoreSlim Writing { get; } = new(1);

    public int Next() => Interlocked.Increment(ref _next);

    public void Begin(int version, bool deleted)
    {
        lock (_lock)
        {
            _deleted[version] = deleted;
            _begun.Add(version);
        }
    }

    public void End(int version)
    {
        lock (_lock)
        {
            _ended = version;
        }
    }

    public Window Open()
    {
        lock (_lock)
        {
            return new Window(this, _ended);
        }
    }

    public int Size(int version) => (int)((uint)HashCode(version) % 500_000);

    public byte[] Bytes(int version) => Noise.AsSpan(Start(version), Size(version)).ToArray();

    public void Check(int version, long offset, ReadOnlySpan<byte> piece)
    {
        var right = Noise.AsSpan(Start(version) + (int)offset, piece.Length);
        if (!right.SequenceEqual(piece))
        {
            Assert.Fail($"{Id} version {version}: wrong byte at {offset + right.CommonPrefixLength(piece)}");
        }
    }

    private int Start(int version) => (int)((uint)(HashCode(version) * 0x9E3779B1L >> 8) % (Noise.Length - 500_000));

    // The same in every process, unlike string.GetHashCode.
    private int HashCode(int version)
        => (int)XxHash3.HashToUInt64(MemoryMarshal.AsBytes(Id.Key.AsSpan()), version);

    public sealed class Window(OracleKey key, int oldest)
    {
        public bool Allows(int version)
        {
            lock (key._lock)
            {
                return version >= oldest && key._begun.Contains(version) && !key._deleted[version];
            }
        }

        public bool AllowsMissing()
        {
            lock (key._lock)
            {
                return key._begun.Any(version => version >= oldest && key._deleted[version]);
            }
        }

        public override string ToString()
        {
            lock (key._lock)
            {
                return string.Join(", ", key._begun.Where(version => version >= oldest).Select(version => $"{version}{(key._deleted[version] ? " (deleted)" : "")}"));
            }
        }
    }
}
