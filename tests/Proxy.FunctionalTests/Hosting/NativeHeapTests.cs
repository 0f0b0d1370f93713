using System.Globalization;

namespace Proxy.FunctionalTests.Hosting;

/// <summary>The C library's heap has few arenas, each of which keeps the most it ever held.</summary>
public sealed class NativeHeapTests
{
    /// <summary>HEAP_MAX_SIZE of glibc on 64 bits: what each arena but the first reserves, aligned to itself.</summary>
    private const ulong ArenaBytes = 64 << 20;

    /// <summary>glibc makes the first eight for whoever comes, and asks for a limit only then.</summary>
    private const int BeforeAnyLimit = 8;

    [Fact]
    public async Task Arenas_StayFew_UnlessTheirNumberWasChosen()
    {
        var limited = await ArenasAsync(new Dictionary<string, string>());
        Assert.InRange(limited, 1, Math.Max(BeforeAnyLimit, Environment.ProcessorCount));
        var chosen = await ArenasAsync(new Dictionary<string, string> { ["MALLOC_ARENA_MAX"] = "256" });
        Assert.True(chosen > limited, $"{chosen} arenas where 256 were allowed, {limited} where as many as processors: not seen that anything was limited");
    }

    private static async Task<int> ArenasAsync(IReadOnlyDictionary<string, string> environment)
    {
        await using var proxy = await ProxyProcess.StartAsync(environment: environment);
        return CountArenas(File.ReadLines($"/proc/{proxy.ProcessId}/maps"));
    }

    /// <summary>Mappings that begin at a multiple of an arena's length, writable, and go on without any right to its end.</summary>
    private static int CountArenas(IEnumerable<string> maps)
    {
        var count = 0;
        (ulong Start, ulong End)? writable = null;
        foreach (var line in maps)
        {
            var fields = line.Split(' ', StringSplitOptions.RemoveEmptyEntries);
            var range = fields[0].Split('-').Select(static text => ulong.Parse(text, NumberStyles.HexNumber, CultureInfo.InvariantCulture)).ToArray();
            if (writable is { } before && fields[1] == "---p" && range[0] == before.End && range[1] == before.Start + ArenaBytes)
            {
                count++;
            }

            writable = fields is [_, "rw-p", _, _, "0"] && range[0] % ArenaBytes == 0 ? (range[0], range[1]) : null;
        }

        return count;
    }
}
