using Microsoft.Extensions.Logging;

namespace Proxy.Cache.Metadata;

/// <summary>Where the catalog's journal lies: in the first directory of the NVMe tier. Without one nothing survives a restart, so none is written.</summary>
internal static partial class JournalFolder
{
    public static string? TryPrepare(CacheOptions options, ILogger logger)
    {
        if (!options.Enabled || options.Nvme.Directories.Count == 0)
        {
            return null;
        }

        try
        {
            return Directory.CreateDirectory(options.Nvme.Directories[0]).FullName;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException or NotSupportedException)
        {
            LogNone(logger, options.Nvme.Directories[0], e);
            return null;
        }
    }

    [LoggerMessage(3303, LogLevel.Warning, "No catalog journal in {Directory}: create it or allow the proxy to write there. Serving goes on without")]
    private static partial void LogNone(ILogger logger, string directory, Exception exception);
}
