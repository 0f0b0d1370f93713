using Proxy.Cache.Tiers;
using Proxy.Cache.Tiers.Nvme;

namespace Proxy.UnitTests.Tiers;

/// <summary>
/// One directory through round after round of what can happen to it; every block that is served is checked, and each round ends with a store that works.
/// </summary>
/// <remarks>
/// <c>PROXY_CRASH_ROUNDS</c> and <c>PROXY_CRASH_SEED</c> make it longer and other; <c>PROXY_CRASH_SMALL_DISK</c> names a directory on a file
/// system of some 48 MiB to be really full, where otherwise ENOSPC is injected.
/// </remarks>
public sealed class NvmeCrashTests
{
    private const long Capacity = 64 << 20;
    private static readonly string[] Files = ["data", "toc", "format"];
    private readonly Dictionary<string, int> _rounds = [];
    private int _checked = 150;
    private Random _random = new(0);
    private long _next;
    private long _served;
    private long _recovered;
    private long _corrupt;

    [Fact]
    public async Task Rounds_OfKillsDamageAndFullDisks_NeverServeAWrongByte()
    {
        var rounds = int.TryParse(Environment.GetEnvironmentVariable("PROXY_CRASH_ROUNDS"), out var asked) ? asked : 6;
        var seed = int.TryParse(Environment.GetEnvironmentVariable("PROXY_CRASH_SEED"), out var given) ? given : 1;
        _random = new Random(seed);
        _checked = rounds < 20 ? 150 : 450;
        using var directory = new TestDirectory();
        for (var round = 0; round < rounds; round++)
        {
            var engine = (NvmeEngine)_random.Next(2);

            // The short form has one kill: a child process takes its time to start.
            var kind = rounds < 20 ? (round == 1 ? 0 : 1 + (round % 4)) : _random.Next(5);
            var name = kind switch { 0 => "kill", 1 => "flip", 2 => "cut", 3 => "delete", _ => "full disk" };
            _rounds[name] = _rounds.GetValueOrDefault(name) + 1;
            try
            {
                await (kind switch
                {
                    0 => KillAsync(directory.Path, engine),
                    4 => FullDiskAsync(directory.Path, engine),
                    _ => DamageAsync(directory.Path, engine, kind),
                });
            }
            catch (Exception e)
            {
                throw new InvalidOperationException($"Round {round} ({name}, {engine}, seed {seed}) failed: {e.Message}", e);
            }
        }

        TestContext.Current.SendDiagnosticMessage(
            "{0} rounds ({1}): {2} blocks served and checked, {3} of them by a store that was just opened, {4} found damaged",
            rounds, string.Join(", ", _rounds.Select(one => $"{one.Value} {one.Key}")), _served, _recovered, _corrupt);
        Assert.True(_recovered > 0, "No store served a block of the round before: the run shows nothing.");
    }

    private async Task KillAsync(string path, NvmeEngine engine)
    {
        _next = await NvmeRestartTests.RunChildAsync(path, engine, _next, 30, TimeSpan.FromMilliseconds(_random.Next(150)), Capacity) + 100;
        await using var store = await NvmeHarness.OpenAsync(path, engine, Capacity);
        await UseAsync(store, isJustOpened: true);
    }

    private async Task DamageAsync(string path, NvmeEngine engine, int kind)
    {
        await using (var store = await NvmeHarness.OpenAsync(path, engine, Capacity))
        {
            await UseAsync(store, isJustOpened: true);
            if (kind == 1)
            {
                // Under the running store.
                Damage(path, "data", kind);
                await CheckAsync(store);
            }
        }

        Damage(path, Files[_random.Next(Files.Length)], kind);
        await using var again = await NvmeHarness.OpenAsync(path, engine, Capacity);
        await UseAsync(again, isJustOpened: true);
    }

    private async Task FullDiskAsync(string path, NvmeEngine engine)
    {
        if (Environment.GetEnvironmentVariable("PROXY_CRASH_SMALL_DISK") is { Length: > 0 } small)
        {
            await ReallyFullAsync(small, engine);
            return;
        }

        await using var store = await NvmeHarness.OpenAsync(path, engine, Capacity);
        await UseAsync(store, isJustOpened: true);
        var after = _random.Next(20);
        store.Device.Faults = (operation, _) =>
        {
            if (operation != DiskOperation.Read && Interlocked.Decrement(ref after) < 0)
            {
                throw new IOException("No space left on device", Native.NoSpace);
            }
        };
        await WriteAsync(store, 40);
        await CheckAsync(store);
        store.Device.Faults = null;
        await UseAsync(store);
    }

    private async Task ReallyFullAsync(string small, NvmeEngine engine)
    {
        var path = Path.Combine(small, "cache");
        var ballast = Path.Combine(small, "ballast");
        if (_random.Next(2) == 0 && Directory.Exists(path))
        {
            Directory.Delete(path, recursive: true);
        }

        await using (var file = File.Create(ballast))
        {
            var bytes = new byte[1 << 20];
            try
            {
                for (var left = _random.Next(64); left > 0; left--)
                {
                    file.Write(bytes);
                    file.Flush();
                }
            }
            catch (IOException)
            {
                // Full, as it should be now and then.
            }
        }

        try
        {
            await using var store = await NvmeHarness.OpenAsync(path, engine, Capacity);
            await WriteAsync(store, 150);
            await CheckAsync(store);
            File.Delete(ballast);
            await UseAsync(store);
        }
        finally
        {
            File.Delete(ballast);
        }
    }

    /// <summary>The store is well: it serves what it has, takes new blocks and gives them back.</summary>
    /// <param name="isJustOpened">What it serves now comes from before: later it always has what it was given here.</param>
    private async Task UseAsync(NvmeHarness store, bool isJustOpened = false)
    {
        await store.UntilAsync(() => store.Now.State == NvmeState.Healthy);
        var before = _served;
        await CheckAsync(store);
        _recovered += isJustOpened ? _served - before : 0;
        for (var i = 0; i < 40; i++)
        {
            await store.PutAsync(_next++);
        }

        await store.FlushedAsync();
        await store.UntilAsync(() => store.Now.State == NvmeState.Healthy);

        // A disk that was too small has left a ring of 16 MiB: the newest must be there, not all.
        Assert.Equal(10, await store.CountAsync(_next - 10, _next));
    }

    private async Task CheckAsync(NvmeHarness store)
    {
        for (var number = Math.Max(0, _next - _checked); number < _next; number++)
        {
            var offset = _random.Next(4) == 0 ? _random.Next(TestBlocks.Length(number)) : 0;
            _served += await store.HasAsync(number, offset) ? 1 : 0;
        }

        _corrupt += store.Now.Corrupt;
    }

    private async Task WriteAsync(NvmeHarness store, int blocks)
    {
        for (var i = 0; i < blocks; i++, _next++)
        {
            var block = TestBlocks.Rent(store.Pool, _next);
            store.Device.TryWrite(TestBlocks.Id(_next), new(block));
            if (i % 8 == 0)
            {
                await Task.Yield();
            }
        }

        await store.FlushedAsync();
    }

    private void Damage(string directory, string name, int kind)
    {
        var path = Path.Combine(directory, name);
        if (kind == 3)
        {
            File.Delete(path);
            return;
        }

        using var file = new FileStream(path, FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite);
        if (kind == 2)
        {
            file.SetLength(_random.NextInt64(file.Length + 1));
            return;
        }

        for (var flips = 1 + _random.Next(40); flips > 0 && file.Length > 0; flips--)
        {
            file.Position = _random.NextInt64(file.Length);
            var value = file.ReadByte();
            file.Position--;
            file.WriteByte((byte)(value ^ (1 << _random.Next(8))));
        }
    }
}
