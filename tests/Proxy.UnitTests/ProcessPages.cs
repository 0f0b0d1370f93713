using System.Globalization;

namespace Proxy.UnitTests;

/// <summary>What the system says of this process's own memory.</summary>
internal static class ProcessPages
{
    /// <summary>Bytes of a range that are in memory.</summary>
    public static long Resident(nint address, int bytes)
    {
        using var pagemap = File.OpenHandle("/proc/self/pagemap");
        var entries = new byte[bytes / Environment.SystemPageSize * sizeof(ulong)];
        RandomAccess.Read(pagemap, entries, address / Environment.SystemPageSize * sizeof(ulong));
        var count = 0;
        for (var at = sizeof(ulong) - 1; at < entries.Length; at += sizeof(ulong))
        {
            // The highest bit of a page's entry says that it is present.
            count += entries[at] >> 7;
        }

        return (long)count * Environment.SystemPageSize;
    }

    /// <summary>Of the mapping an address lies in, as smaps names them: <c>hg</c> and <c>nh</c> are what it was told about large pages.</summary>
    public static string[] Flags(nint address) => Mappings().FirstOrDefault(mapping => mapping.Start <= address && address < mapping.End)?.Flags ?? [];

    /// <summary>KiB in memory of all mappings that have a flag; <c>nr</c>, which reserve nothing, are the pool's.</summary>
    public static long ResidentKiB(string flag) => Mappings().Where(mapping => mapping.Flags.Contains(flag)).Sum(static mapping => mapping.ResidentKiB);

    private static IEnumerable<Mapping> Mappings()
    {
        var mapping = new Mapping(0, 0, 0, []);
        foreach (var words in File.ReadLines("/proc/self/smaps").Select(static line => line.Split(' ', StringSplitOptions.RemoveEmptyEntries)))
        {
            switch (words[0])
            {
                case "Rss:":
                    mapping = mapping with { ResidentKiB = long.Parse(words[1], CultureInfo.InvariantCulture) };
                    break;
                case "VmFlags:":
                    yield return mapping with { Flags = words[1..] };
                    break;
                case var range when !range.EndsWith(':') && range.Split('-') is [var start, var end]:
                    mapping = new Mapping(Address(start), Address(end), 0, []);
                    break;
            }
        }
    }

    private static nint Address(string hex) => nint.Parse(hex, NumberStyles.HexNumber, CultureInfo.InvariantCulture);

    private sealed record Mapping(nint Start, nint End, long ResidentKiB, string[] Flags);
}
