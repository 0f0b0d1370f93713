using System.ComponentModel.DataAnnotations;
using Proxy.Cache.Policy;

namespace Proxy.Cache;

/// <summary>Everything an operator may say about the cache: the configuration section <c>Cache</c>.</summary>
/// <remarks>Read once when the cache opens. Sizes are bytes (the host turns "1GiB" into a number before binding).</remarks>
public sealed class CacheOptions : IValidatableObject
{
    private static readonly TimeSpan LongestTtl = TimeSpan.FromDays(3650);

    /// <summary>False: every read passes through and nothing is kept.</summary>
    public bool Enabled { get; set; } = true;

    /// <value>1 MiB; a power of two from 64 KiB to 16 MiB.</value>
    /// <remarks>1 MiB is where NVMe reads stop gaining, and Milvus's cells are 1 to 4 MiB.</remarks>
    [Range(64 << 10, 16 << 20)]
    public int BlockSizeBytes { get; set; } = 1 << 20;

    [Required]
    public MemoryTierSettings Memory { get; set; } = new();

    [Required]
    public NvmeTierSettings Nvme { get; set; } = new();

    [Required]
    public CatalogSettings Catalog { get; set; } = new();

    /// <summary>Ordered, first match wins; asked before the Milvus profile.</summary>
    [Required]
    public IList<CacheRule> Rules { get; set; } = [];

    [Required]
    public MilvusSettings Milvus { get; set; } = new();

    [Required]
    public FillSettings Fills { get; set; } = new();

    [Required]
    public CaptureSettings Captures { get; set; } = new();

    /// <summary>How long a validated entry of class revalidate is served without asking again.</summary>
    /// <value>1 s: one open of a file by Milvus (HEAD, tail, footer, ranges) then asks the backend once instead of four times, and a
    /// writer that goes around this proxy is seen after a second. Zero asks on every read.</value>
    public TimeSpan RevalidateTtl { get; set; } = TimeSpan.FromSeconds(1);

    /// <summary>How far past its TTL an entry of class revalidate may be served while the backend cannot be reached. Immutable ones always are.</summary>
    /// <value>Zero: never; the client gets the backend's 503 and decides.</value>
    public TimeSpan StaleIfUnreachable { get; set; } = TimeSpan.Zero;

    /// <summary>Whether an immutable entry found again after a restart is checked once by HEAD before its first use.</summary>
    /// <value>True: deletions made while the proxy was down are noticed, for one small request per object. While the backend cannot be reached such an entry is served all the same,
    /// as STALE. False also trusts the journal for changes made
    /// in the last moments before a kill: only for keys that are never written twice, and whose deletion need not be seen.</value>
    public bool VerifyRecovered { get; set; } = true;

    /// <summary>After a change whose outcome is unknown (timeout, reset, 5xx), how long reads of the key ask the backend every time: it may still land.</summary>
    /// <value>6 minutes: as long as a backend may work on what was forwarded (Backends' ForwardTimeout, 5 minutes: completing a large upload takes some stores that long,
    /// whether anybody still waits or not), and one more.</value>
    public TimeSpan UnknownOutcomeWindow { get; set; } = TimeSpan.FromMinutes(6);

    /// <summary>Checks what attributes cannot say, and the nested sections, which data annotations do not enter by themselves.</summary>
    public IEnumerable<ValidationResult> Validate(ValidationContext validationContext)
    {
        var results = new List<ValidationResult>();
        foreach (var (name, section) in ((string, object)[])
            [(nameof(Memory), Memory), (nameof(Nvme), Nvme), (nameof(Catalog), Catalog), (nameof(Milvus), Milvus), (nameof(Fills), Fills), (nameof(Captures), Captures),
            .. Rules.Select((rule, index) => ($"{nameof(Rules)}:{index}", (object)rule))])
        {
            // Under the whole name: whoever enters the sections himself finds the same mistake again, and can tell that it is.
            var itsOwn = new List<ValidationResult>();
            Validator.TryValidateObject(section, new ValidationContext(section), itsOwn, validateAllProperties: true);
            results.AddRange(itsOwn.Select(result => new ValidationResult(result.ErrorMessage, [.. result.MemberNames.Select(member => $"{name}:{member}")])));
        }

        if (!System.Numerics.BitOperations.IsPow2(BlockSizeBytes))
        {
            results.Add(new ValidationResult($"Cache:BlockSizeBytes is {BlockSizeBytes}: make it a power of two from 65536 to 16777216.", [nameof(BlockSizeBytes)]));
        }

        if (Fills.MaxRangeBytes < BlockSizeBytes)
        {
            results.Add(new ValidationResult($"Cache:Fills:MaxRangeBytes is {Fills.MaxRangeBytes}, less than one block of {BlockSizeBytes}: raise it or lower Cache:BlockSizeBytes.", [nameof(Fills)]));
        }

        if (!Enum.TryParse<Tiers.NvmeEngine>(Nvme.Engine, ignoreCase: true, out _))
        {
            results.Add(new ValidationResult($"Cache:Nvme:Engine is {Nvme.Engine}: make it Faster or Plain.", [nameof(Nvme)]));
        }

        // Not as attributes: over a mistake of theirs nothing of the above would be looked at.
        foreach (var (name, time, most) in new[]
        {
            (nameof(RevalidateTtl), RevalidateTtl, LongestTtl), (nameof(StaleIfUnreachable), StaleIfUnreachable, LongestTtl), (nameof(UnknownOutcomeWindow), UnknownOutcomeWindow, TimeSpan.FromDays(30)),
        })
        {
            if (time < TimeSpan.Zero || time > most)
            {
                results.Add(new ValidationResult($"Cache:{name} is {time}: make it 00:00:00 to {most}.", [name]));
            }
        }

        return results;
    }
}

public sealed class MemoryTierSettings
{
    /// <value>1 GiB. Includes blocks being filled and captured.</value>
    [Range(16L << 20, long.MaxValue)]
    public long CapacityBytes { get; set; } = 1L << 30;
}

public sealed class NvmeTierSettings
{
    /// <summary>Where the tier and the catalog's journal live; empty means no NVMe tier and nothing that survives a restart.</summary>
    public IList<string> Directories { get; set; } = [];

    /// <summary>Where nobody says.</summary>
    public const long DefaultCapacityBytes = 64L << 30;

    /// <value>Over all directories; 0 turns the tier off, null is <see cref="DefaultCapacityBytes"/>.</value>
    [Range(0, long.MaxValue)]
    public long? CapacityBytes { get; set; }

    internal long EffectiveCapacityBytes => CapacityBytes ?? DefaultCapacityBytes;

    /// <summary><c>Faster</c>, or <c>Plain</c>: region files and positional reads.</summary>
    [Required]
    public string Engine { get; set; } = "Faster";
}

public sealed class CatalogSettings
{
    /// <summary>What entries, layouts and their keys may take.</summary>
    /// <value>256 MiB: about 300,000 objects of Milvus at some 850 bytes each.</value>
    [Range(1L << 20, long.MaxValue)]
    public long CapacityBytes { get; set; } = 256L << 20;

    /// <summary>The journal that brings entries back after a restart; rewritten when it passes this.</summary>
    /// <value>256 MiB.</value>
    [Range(1L << 20, long.MaxValue)]
    public long JournalBytes { get; set; } = 256L << 20;
}

public sealed class MilvusSettings
{
    /// <summary>Whether keys under <see cref="RootPaths"/> get the classes that Milvus's own use of them allows.</summary>
    public bool Enabled { get; set; } = true;

    /// <summary>Milvus's <c>minio.rootPath</c> values; <c>*</c> accepts any root, at any depth; an empty string is a bucket's top.</summary>
    /// <value><c>files</c>, the default of Milvus itself and its compose files, and <c>file</c>, that of its Helm chart and operator.</value>
    public IList<string> RootPaths { get; set; } = [];

    /// <summary><see cref="RootPaths"/>, or the default when none is configured. (A bound list is appended to, so the default cannot stand in it.)</summary>
    public IReadOnlyList<string> EffectiveRootPaths => RootPaths.Count > 0 ? [.. RootPaths] : ["files", "file"];
}

public sealed class FillSettings
{
    /// <summary>Bytes being fetched at once, over all fills. Above it reads pass through without being kept.</summary>
    /// <value>Null is a quarter of the memory tier.</value>
    public long? MaxBytesInFlight { get; set; }

    /// <summary>Longest range of one backend request.</summary>
    /// <value>32 MiB, also the longest that Milvus's Arrow reader asks for.</value>
    [Range(1 << 20, 1 << 30)]
    public int MaxRangeBytes { get; set; } = 32 << 20;

    /// <summary>Objects up to this are filled whole when a read began at their start, and finished when the reader leaves.</summary>
    /// <value>32 MiB: two index slices of Milvus.</value>
    [Range(0, 1 << 30)]
    public int WholeObjectBytes { get; set; } = 32 << 20;

    /// <summary>How far ahead of a reader, within what it asked for, the next range is requested.</summary>
    /// <value>8 MiB: 100 ms of one stream at 80 MB/s, more than a backend's time to first byte.</value>
    [Range(0, 1 << 30)]
    public int ReadaheadBytes { get; set; } = 8 << 20;

    /// <summary>How many of the slices that follow a missing index slice are asked for with it.</summary>
    /// <value>2: with the one asked for, 48 MiB of Milvus's 16 MiB slices. 0 turns it off.</value>
    [Range(0, 64)]
    public int SiblingSlices { get; set; } = 2;

    /// <summary>Whether a HEAD of an unknown immutable key already starts the GET that follows it in Milvus.</summary>
    public bool HeadAheadOnMiss { get; set; } = true;

    /// <summary>Streams from the backend straight to one reader, at most at once; above it 503 SlowDown, and who has begun waits for one for eight seconds.</summary>
    /// <value>1,024 of 64 KiB: 64 MiB.</value>
    [Range(1, 1 << 20)]
    public int MaxPassThrough { get; set; } = 1024;

    /// <summary>Requests made for one range before its readers are told; each continues where the last one stopped.</summary>
    [Range(1, 100)]
    public int MaxAttempts { get; set; } = 4;
}

public sealed class CaptureSettings
{
    public bool Enabled { get; set; } = true;

    /// <summary>Memory that uploads not yet acknowledged may hold; above it their full blocks go to the tiers early, and nothing waits.</summary>
    /// <value>Null is a quarter of the memory tier.</value>
    public long? MaxBytes { get; set; }

    /// <summary>How long parts of an upload that is neither completed nor aborted are remembered.</summary>
    /// <value>1 h: Milvus completes within minutes.</value>
    [Range(typeof(TimeSpan), "00:00:00", "30.00:00:00")]
    public TimeSpan PartExpiry { get; set; } = TimeSpan.FromHours(1);

    /// <summary>Uploads whose parts are remembered at once.</summary>
    [Range(1, 1 << 20)]
    public int MaxUploads { get; set; } = 4096;
}

/// <summary>Gives keys a class.</summary>
public sealed class CacheRule
{
    /// <summary>Null is every bucket.</summary>
    public string? Bucket { get; set; }

    /// <summary>Against the whole key: <c>*</c> within a segment, <c>**</c> anything, <c>?</c> one character of a segment.</summary>
    [Required]
    public string Pattern { get; set; } = "";

    public ObjectClass Class { get; set; }

    /// <summary>For class revalidate; null is <see cref="CacheOptions.RevalidateTtl"/>.</summary>
    [Range(typeof(TimeSpan), "00:00:00", "3650.00:00:00")]
    public TimeSpan? Ttl { get; set; }
}
