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
    public static string[] Flags(nint address)
    {
        var isIn = false;
        foreach (var line in File.ReadLines("/proc/self/smaps"))
        {
            var words = line.Split(' ', StringSplitOptions.RemoveEmptyEntries);
            if (words[0] == "VmFlags:" && isIn)
            {
                return words[1..];
            }

            if (!words[0].EndsWith(':') && words[0].Split('-') is [var start, var end])
            {
                isIn = nint.Parse(start, NumberStyles.HexNumber, CultureInfo.InvariantCulture) <= address && address < nint.Parse(end, NumberStyles.HexNumber, CultureInfo.InvariantCulture);
            }
        }

        return [];
    }
}
