using System.ComponentModel.DataAnnotations;
using Proxy.S3.Requests;

namespace Proxy.Backends.Local;

/// <summary>Settings of the embedded store. Read once, when it is opened.</summary>
public sealed class LocalOptions
{
    /// <summary>The folder that holds everything: index, bodies, lock. Created when missing; one process at a time.</summary>
    [Required]
    public string Directory { get; set; } = "store";

    /// <summary>Whether an acknowledged change has reached the disk. False is for throw-away stores: it then survives kill -9, not power loss.</summary>
    public bool Fsync { get; set; } = true;

    /// <value>Bytes; 64 KiB. Bodies up to this size live in the index, so that a small PUT costs one flush instead of three.</value>
    /// <remarks>At 64 KiB one client put 8 times, 32 clients 1.5 to 2 times as many a second as with files; all of these bytes are written twice. See the README beside this file.</remarks>
    [Range(0, 256 << 10)]
    public int InlineBytes { get; set; } = 64 << 10;

    /// <value>Bytes; 5 MiB, S3's own limit for every part but the last.</value>
    [Range(0, 5L << 30)]
    public long MinPartSize { get; set; } = S3Limits.MinPartBytes;

    /// <value>Bytes; 5 TiB, S3's own limit of an object. Not to be configured: tests cannot make as much.</value>
    internal long MaxObjectBytes { get; set; } = S3Limits.MaxObjectBytes;

    /// <value>Bytes; 5 GiB, S3's own limit of one PUT or part. Not to be configured either.</value>
    internal long MaxPutBytes { get; set; } = S3Limits.MaxPutBytes;

    /// <value>How long an upload may stay incomplete before it is aborted; 7 days. Zero or less keeps them for ever.</value>
    [Range(typeof(TimeSpan), "-3650.00:00:00", "3650.00:00:00")]
    public TimeSpan UploadExpiry { get; set; } = TimeSpan.FromDays(7);

    /// <value>How long a repeated CompleteMultipartUpload is still answered as the first was; 1 day.</value>
    [Range(typeof(TimeSpan), "00:00:00", "3650.00:00:00")]
    public TimeSpan CompletedMemory { get; set; } = TimeSpan.FromDays(1);

    /// <value>How often expired uploads are looked for; 1 hour.</value>
    [Range(typeof(TimeSpan), "00:00:01", "30.00:00:00")]
    public TimeSpan ExpiryInterval { get; set; } = TimeSpan.FromHours(1);

    /// <value>Threads that write and flush bodies; 16. They wait on the disk, not on the CPU.</value>
    [Range(1, 256)]
    public int DiskThreads { get; set; } = 16;
}
