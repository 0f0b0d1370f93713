using System.ComponentModel.DataAnnotations;

namespace Proxy.Backends.Remote;

/// <summary>One remote S3 backend: where it is, who we are there, and how hard we may lean on it.</summary>
/// <remarks>Section <c>Backend</c>, or <c>Backends:NAME</c>. Checked at start; read once into fields.</remarks>
public sealed record RemoteOptions : IValidatableObject
{
    // Go's net/http reads this much of a body it does not want before it closes the connection.
    private const long ExpectContinueAboveBytes = 256 << 10;

    /// <summary>One URL per gateway of the same store: <c>http://minio:9000</c>, <c>https://s3.eu-central-1.amazonaws.com</c>. No path.</summary>
    [Required, MinLength(1)]
    public IReadOnlyList<string> Endpoints { get; init; } = [];

    /// <value>us-east-1: what MinIO, RustFS and radosgw assume when nothing is configured.</value>
    [Required]
    public string Region { get; init; } = "us-east-1";

    public CredentialSource CredentialSource { get; init; } = CredentialSource.Static;

    public string? AccessKey { get; init; }

    public string? SecretKey { get; init; }

    public string? SessionToken { get; init; }

    /// <summary>Name in the shared credentials file; null is <c>default</c>.</summary>
    public string? Profile { get; init; }

    public AddressingStyle AddressingStyle { get; init; }

    public RemoteTlsOptions Tls { get; init; } = new();

    /// <summary>Connections to one endpoint, for the proxy's own reads and for forwards each. A request over it waits for a free one.</summary>
    /// <value>256: sixteen query nodes of sixteen download threads (Milvus caps its pools at 16).</value>
    [Range(1, 65_536)]
    public int MaxConnections { get; init; } = 256;

    /// <value>3 s: two SYN retransmissions on Linux.</value>
    [Range(typeof(TimeSpan), "00:00:00.001", "1.00:00:00")]
    public TimeSpan ConnectTimeout { get; init; } = TimeSpan.FromSeconds(3);

    /// <summary>
    /// From the end of a request to the backend's response headers: of one try of a read the proxy itself makes, and of a forward but for those that take longer by
    /// nature (<see cref="ForwardTimeout"/>). Also the longest time in which the backend takes no more of a body.
    /// </summary>
    /// <value>8 s: under the 10 s after which libcurl in Milvus gives up on a silent transfer.</value>
    [Range(typeof(TimeSpan), "00:00:00.001", "1.00:00:00")]
    public TimeSpan ResponseTimeout { get; init; } = TimeSpan.FromSeconds(8);

    /// <summary>What <see cref="ResponseTimeout"/> is longer by for each MiB of an upload's body, up to <see cref="ForwardTimeout"/> in all.</summary>
    /// <value>250 ms, 4 MiB/s: a store that begins to write when it has the whole body, on spinning disks that others use too. A part of 16 MiB gets 12 s.</value>
    [Range(typeof(TimeSpan), "00:00:00", "00:01:00")]
    public TimeSpan ResponseTimeoutPerMiB { get; init; } = TimeSpan.FromMilliseconds(250);

    /// <summary>From the moment a read of the proxy's own is asked for to the head of its answer: its turn and all its tries together.</summary>
    /// <value>9 s: as <see cref="ResponseTimeout"/>, with time left to try another endpoint when the first has been silent for that long.</value>
    [Range(typeof(TimeSpan), "00:00:00.001", "1.00:00:00")]
    public TimeSpan ReadTimeout { get; init; } = TimeSpan.FromSeconds(9);

    /// <summary>Longest time without one more byte of an answer's body before the read, or the forward, counts as failed.</summary>
    /// <value>8 s, as <see cref="ResponseTimeout"/>.</value>
    [Range(typeof(TimeSpan), "00:00:00.001", "1.00:00:00")]
    public TimeSpan StallTimeout { get; init; } = TimeSpan.FromSeconds(8);

    /// <summary>
    /// Longest silence of the backend in a forward that takes long by nature: CompleteMultipartUpload, copies, DeleteObjects and what the proxy does not know. Also
    /// the longest time without progress of any forward, whoever holds it up.
    /// </summary>
    /// <value>5 min: a CompleteMultipartUpload of thousands of parts takes minutes on some stores.</value>
    [Range(typeof(TimeSpan), "00:00:00.001", "1.00:00:00")]
    public TimeSpan ForwardTimeout { get; init; } = TimeSpan.FromMinutes(5);

    /// <summary>An idle connection is closed after this.</summary>
    /// <value>50 s: under the 60 s that common load balancers keep one, so that we close first.</value>
    [Range(typeof(TimeSpan), "00:00:00.001", "1.00:00:00")]
    public TimeSpan IdleTimeout { get; init; } = TimeSpan.FromSeconds(50);

    /// <summary>A connection is replaced after this, which is how a changed DNS name is noticed.</summary>
    /// <value>5 min.</value>
    [Range(typeof(TimeSpan), "00:00:00.001", "30.00:00:00")]
    public TimeSpan ConnectionLifetime { get; init; } = TimeSpan.FromMinutes(5);

    /// <summary>Tries of one idempotent read of our own, the first included. Forwarded requests are sent exactly once.</summary>
    [Range(1, 10)]
    public int ReadAttempts { get; init; } = 3;

    /// <summary>Longest pause before the first retry; doubles from there up to 1 s, with full jitter.</summary>
    /// <value>100 ms.</value>
    [Range(typeof(TimeSpan), "00:00:00", "00:01:00")]
    public TimeSpan RetryDelay { get; init; } = TimeSpan.FromMilliseconds(100);

    /// <summary>How forwarded bodies are declared to the backend.</summary>
    public PayloadSigning PayloadSigning { get; init; }

    /// <summary>What becomes of a checksum that an upload carries in its trailer.</summary>
    /// <value>Verify: every store takes that. radosgw 16 refuses trailers.</value>
    public TrailingChecksums TrailingChecksums { get; init; }

    /// <summary>Whether uploads ask the backend before the body is sent.</summary>
    public ExpectContinue ExpectContinue { get; init; }

    /// <summary>Adds Content-MD5 to a DeleteObjects without one: MinIO asks for it, and current AWS SDKs no longer send it.</summary>
    public bool AddDeleteMd5 { get; init; } = true;

    /// <summary>Client's bucket name to the backend's; names that are missing are the same on both sides.</summary>
    public IReadOnlyDictionary<string, string> BucketMap { get; init; } = new Dictionary<string, string>();

    /// <summary>
    /// Where the store is managed by the same keys that the proxy has: a bucket (<c>admin</c>), or a bucket and how its keys begin (<c>minio/admin/</c>), by the backend's own names.
    /// Nobody's request goes there.
    /// </summary>
    /// <value>Empty is what is known: minio/admin/, minio/kms/, rustfs/admin/, rustfs/rpc/, and admin, which is radosgw's.</value>
    public IReadOnlyList<string> ManagementPaths { get; init; } = [];

    public BackendHealthOptions Health { get; init; } = new();

    /// <summary>Reads of our own that may run at once: as many as surely find a connection, also when each is asked twice.</summary>
    /// <remarks>One that waited for a connection would look like a backend that is silent, and a few of them like one that is gone.</remarks>
    internal int MaxReads => Math.Min(Health.MaxConcurrency, Math.Max(1, MaxConnections / 2));

    /// <summary>Whether an upload asks the backend before its body is sent: one that refuses may close the connection on a long body, and its answer with it.</summary>
    /// <param name="length">Of the body; null when only its end tells.</param>
    /// <param name="isConditional">It has an If-Match or If-None-Match.</param>
    public bool AsksFirst(long? length, bool isConditional)
        => length is null or > ExpectContinueAboveBytes && ExpectContinue switch
        {
            ExpectContinue.Always => true,
            ExpectContinue.Conditional => isConditional,
            _ => false,
        };

    public IEnumerable<ValidationResult> Validate(ValidationContext validationContext)
    {
        foreach (var endpoint in Endpoints)
        {
            if (!Uri.TryCreate(endpoint, UriKind.Absolute, out var uri) || uri.Scheme is not ("http" or "https") || uri.PathAndQuery != "/" || uri.UserInfo.Length > 0)
            {
                yield return new ValidationResult($"Endpoint '{endpoint}' must be http:// or https:// with a host and at most a port, like http://minio:9000.", [nameof(Endpoints)]);
            }
        }

        if (ManagementPaths.Any(static path => path.Trim('/').Length == 0))
        {
            yield return new ValidationResult("Each entry names a bucket, or a bucket and how its keys begin, such as admin or minio/admin/.", [nameof(ManagementPaths)]);
        }

        if (CredentialSource == CredentialSource.Static && (string.IsNullOrEmpty(AccessKey) || string.IsNullOrEmpty(SecretKey)))
        {
            yield return new ValidationResult("Set AccessKey and SecretKey, or choose another CredentialSource (Environment, Profile, Imds, WebIdentity, Default).", [nameof(AccessKey)]);
        }

        if (Tls.ClientKeyFile is not null && Tls.ClientCertificateFile is null)
        {
            yield return new ValidationResult("Tls:ClientKeyFile needs Tls:ClientCertificateFile.", [nameof(Tls)]);
        }
    }
}

/// <summary>TLS towards the backend.</summary>
public sealed record RemoteTlsOptions
{
    /// <summary>PEM file of the authorities to trust instead of the system's.</summary>
    public string? CaFile { get; init; }

    /// <summary>PEM file of the certificate (and chain) we show.</summary>
    public string? ClientCertificateFile { get; init; }

    /// <summary>PEM file of its key; null when the key stands in <see cref="ClientCertificateFile"/>.</summary>
    public string? ClientKeyFile { get; init; }

    /// <summary>Trust whatever certificate is shown. For test rigs: anybody on the way can then read and change everything.</summary>
    public bool InsecureSkipVerify { get; init; }
}

/// <summary>When to stop asking a backend that does not answer, and how many requests it gets at once.</summary>
public sealed record BackendHealthOptions
{
    /// <summary>Failures to connect in a row after which an endpoint is left alone.</summary>
    [Range(1, 1000)]
    public int FailuresToOpen { get; init; } = 5;

    /// <summary>How long it is left alone before one request may try it again.</summary>
    /// <value>1 s: Woodpecker and minio-go retry within that.</value>
    [Range(typeof(TimeSpan), "00:00:00.05", "01:00:00")]
    public TimeSpan OpenFor { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>
    /// Upper bound of concurrent reads of our own; half of <see cref="RemoteOptions.MaxConnections"/> where that is less. The limit moves between this and <see cref="MinConcurrency"/>:
    /// halved by a 503, one up per full round of successes.
    /// </summary>
    /// <value>128: half the connections.</value>
    [Range(1, 65_536)]
    public int MaxConcurrency { get; init; } = 128;

    [Range(1, 65_536)]
    public int MinConcurrency { get; init; } = 4;

    /// <summary>Longest wait of a read for its turns: for the first under the limit, and for further ones while the backend says 503; then 503 SlowDown.</summary>
    /// <value>8.5 s: leaves a read that comes to its turn in the last moment the rest of <see cref="RemoteOptions.ReadTimeout"/>.</value>
    [Range(typeof(TimeSpan), "00:00:00", "01:00:00")]
    public TimeSpan MaxWait { get; init; } = TimeSpan.FromSeconds(8.5);

    /// <summary>Share of reads that may be asked a second time when the first answer is later than 99 % are; 0 turns it off.</summary>
    /// <value>5 percent.</value>
    [Range(0, 100)]
    public int HedgePercent { get; init; } = 5;
}

/// <summary>Where the keys come from.</summary>
public enum CredentialSource
{
    /// <summary><see cref="RemoteOptions.AccessKey"/>, <see cref="RemoteOptions.SecretKey"/>, <see cref="RemoteOptions.SessionToken"/>.</summary>
    Static,

    /// <summary>AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN.</summary>
    Environment,

    /// <summary>The shared credentials and config files.</summary>
    Profile,

    /// <summary>The instance's role, from the metadata service.</summary>
    Imds,

    /// <summary>AWS_WEB_IDENTITY_TOKEN_FILE and AWS_ROLE_ARN, as Kubernetes service accounts have them.</summary>
    WebIdentity,

    /// <summary>The AWS SDK's own order of all of these.</summary>
    Default,
}

/// <summary>Where the bucket name stands in a request to the backend.</summary>
public enum AddressingStyle
{
    /// <summary>Host for the known clouds (amazonaws.com, aliyuncs.com, myqcloud.com), path for everything else.</summary>
    Auto,

    /// <summary><c>http://host/bucket/key</c></summary>
    Path,

    /// <summary><c>http://bucket.host/key</c></summary>
    VirtualHost,
}

/// <summary>What x-amz-content-sha256 says of a forwarded body.</summary>
public enum PayloadSigning
{
    /// <summary>The client's own digest where it gave one (verified here), UNSIGNED-PAYLOAD otherwise.</summary>
    Auto,

    /// <summary>Always UNSIGNED-PAYLOAD.</summary>
    Unsigned,
}

/// <summary>A trailer's checksum is known when the headers, where a plain body would have it, are long gone.</summary>
public enum TrailingChecksums
{
    /// <summary>Checked here; the backend gets the plain body and does not keep the checksum.</summary>
    Verify,

    /// <summary>
    /// Checked here, and sent on in a trailer: PutObject and UploadPart go out as STREAMING-UNSIGNED-PAYLOAD-TRAILER. For stores that accept what current AWS SDKs
    /// send over TLS; they verify the checksum too, and keep it.
    /// </summary>
    Forward,
}

/// <summary>When an upload is sent with <c>Expect: 100-continue</c>. Costs one round trip; saves the body, and the answer, when the backend refuses at once.</summary>
public enum ExpectContinue
{
    /// <summary>
    /// Conditional uploads over 256 KiB. A store that answers 412 early closes the connection on a larger rest of body (Go's
    /// net/http reads that much on), and the answer can be lost with it: the client would never learn that its key is taken.
    /// </summary>
    Conditional,

    /// <summary>Every upload over 256 KiB.</summary>
    Always,

    Never,
}
