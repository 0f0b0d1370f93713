using System.ComponentModel.DataAnnotations;

namespace Proxy.Server.Hosting;

/// <summary>Section <c>S3</c>: the listener that clients speak to.</summary>
internal sealed class S3Options : IValidatableObject
{
    /// <value>127.0.0.1:9000: where MinIO would listen. Several addresses are separated by commas; 0.0.0.0 or [::] is every interface.</value>
    [Required]
    public string Listen { get; set; } = "127.0.0.1:9000";

    /// <value>us-east-1: what GetBucketLocation answers and what signatures may be scoped to (besides us-east-1 itself).</value>
    [Required]
    public string Region { get; set; } = "us-east-1";

    /// <summary>Accept any region in a signature's scope. MinIO with no region configured does so too; clients disagree about regions more than about keys.</summary>
    public bool AnyRegion { get; set; } = true;

    /// <summary>Base domain of virtual-host style addressing (<c>bucket.domain</c>); null serves path style only.</summary>
    public string? Domain { get; set; }

    /// <summary>Who may sign in. Empty: MINIO_ROOT_USER / MINIO_ROOT_PASSWORD, and without those minioadmin/minioadmin with a warning.</summary>
    public List<CredentialOptions> Credentials { get; set; } = [];

    public TlsOptions Tls { get; set; } = new();

    /// <value>10,000 connections; the kernel's backlog beyond.</value>
    [Range(1, 1_000_000)]
    public int MaxConnections { get; set; } = 10_000;

    /// <value>120 s: clients (minio-go, aws-sdk) drop idle connections after 60 s, and the server must not be first.</value>
    [Range(typeof(TimeSpan), "00:01:15", "1.00:00:00")]
    public TimeSpan KeepAlive { get; set; } = TimeSpan.FromSeconds(120);

    /// <value>60 s in which a client sends nothing of its body, or takes nothing of what it is being sent, end its request.</value>
    [Range(typeof(TimeSpan), "00:00:05", "01:00:00")]
    public TimeSpan StallTimeout { get; set; } = TimeSpan.FromSeconds(60);

    /// <value>30 s: how long a stop waits for requests in flight. Closing the files has 20 s more.</value>
    [Range(typeof(TimeSpan), "00:00:00", "01:00:00")]
    public TimeSpan ShutdownTimeout { get; set; } = TimeSpan.FromSeconds(30);

    /// <summary>Own event loops under plain HTTP on 64-bit Linux, which send cached blocks from where they lie. Off: Kestrel's own transport.</summary>
    public bool DirectOutput { get; set; } = true;

    /// <summary>With <see cref="DirectOutput"/>: clients nearby are sent large bodies that were read before by lending the cache's memory to the kernel. Off: every byte is copied.</summary>
    public bool ZeroCopy { get; set; } = true;

    public IEnumerable<ValidationResult> Validate(ValidationContext validationContext)
        => Credentials.GroupBy(one => one.AccessKey, StringComparer.Ordinal).Where(same => same.Count() > 1)
            .Select(same => new ValidationResult($"AccessKey '{same.Key}' is there {same.Count()} times: leave it to one entry.", [nameof(Credentials)]));
}

internal sealed class CredentialOptions
{
    [Required, MinLength(3)]
    public string AccessKey { get; set; } = "";

    [Required, MinLength(8)]
    public string SecretKey { get; set; } = "";

    /// <summary>GET, HEAD and LIST only.</summary>
    public bool ReadOnly { get; set; }

    /// <summary><c>bucket</c>, <c>bucket/prefix</c>, <c>bucket-*</c>; empty is everything.</summary>
    public List<string> Buckets { get; set; } = [];
}

/// <summary>TLS of a listener; off where no file is named.</summary>
internal sealed class TlsOptions
{
    /// <summary>PEM file with the certificate, followed by the issuers between it and the root.</summary>
    public string? CertificateFile { get; set; }

    /// <summary>PEM file with the private key; null when it stands in <see cref="CertificateFile"/>.</summary>
    public string? KeyFile { get; set; }

    public bool Enabled => CertificateFile is not null || KeyFile is not null;
}

/// <summary>Section <c>Admin</c>: console, metrics, health, admin API.</summary>
internal sealed class AdminOptions
{
    /// <value>127.0.0.1:9001, MinIO's console port.</value>
    [Required]
    public string Listen { get; set; } = "127.0.0.1:9001";

    /// <summary>HTTPS for all of it; without, it is plain HTTP.</summary>
    public TlsOptions Tls { get; set; } = new();

    /// <summary>Accept keys over plain HTTP from other machines too.</summary>
    /// <value>False: without TLS, signing in works through loopback only. The container image says true, because what reaches it is decided by -p and networks.</value>
    public bool AllowPlainHttp { get; set; }
}

/// <summary>One line of section <c>Routes</c>: first match wins; what no route names goes to the default backend.</summary>
internal sealed class BackendRouteOptions
{
    /// <summary>Bucket as clients spell it; may end in <c>*</c>.</summary>
    [Required]
    public string Bucket { get; set; } = "";

    /// <summary>Only keys with this prefix; empty is the whole bucket.</summary>
    public string Prefix { get; set; } = "";

    /// <summary>A name from section <c>Backends</c>, or <c>default</c>, or <c>local</c>.</summary>
    [Required]
    public string Backend { get; set; } = "";

    /// <summary>What the bucket is called there; null keeps the name.</summary>
    public string? BackendBucket { get; set; }
}
