using System.Diagnostics;
using Proxy.Cache;
using Proxy.Cache.Policy;
using Proxy.S3.Auth;
using Proxy.S3.Objects;
using Proxy.S3.Requests;
using Proxy.Server.Routing;
using Proxy.Server.Telemetry;

namespace Proxy.Server.Requests;

/// <summary>One S3 request while it is answered: what was asked, by whom, and what came of it. One a connection, reused; never outlives its request.</summary>
internal sealed class S3Request
{
    private ObjectId? _id;

    public HttpContext Http { get; private set; } = null!;

    public HttpResponse Response => Http.Response;

    public KestrelHeaders Headers => new(Http.Request.Headers);

    public CancellationToken Aborted => Http.RequestAborted;

    public string Method { get; private set; } = "";

    public S3Target Target { get; set; }

    public S3Operation Operation { get; set; }

    public AuthenticatedRequest Auth { get; set; }

    /// <summary>Where the bucket (and key) lives; set before an operation is called.</summary>
    public Backend Backend { get; set; } = null!;

    public string RequestId { get; private set; } = "";

    /// <summary><see cref="Stopwatch"/> timestamp of the request's head.</summary>
    public long StartedTimestamp { get; private set; }

    /// <summary>How an object read was answered; null for everything else. The header, the counter and the log line come from this.</summary>
    public CacheOutcome? Outcome { get; set; }

    /// <summary>What of Milvus's the object read is; set with <see cref="Outcome"/>.</summary>
    public MilvusKind Kind { get; set; }

    /// <summary><see cref="Stopwatch"/> timestamp of the answer's head; 0 where nobody took it.</summary>
    public long FirstByteTimestamp { get; private set; }

    /// <summary>Time spent waiting for the backend before the answer's head could go.</summary>
    public TimeSpan BackendTime { get; set; }

    /// <summary>Bytes of the body sent to the client.</summary>
    public long BytesSent { get; set; }

    public long BytesReceived { get; set; }

    /// <summary>Of an object read's bytes, those that no backend had to send for it.</summary>
    public long CachedBytes { get; set; }

    /// <summary>S3's name of the error that was answered; null when none was.</summary>
    public string? ErrorCode { get; set; }

    /// <summary>How long the client may send nothing of its body, or take nothing of its answer.</summary>
    public TimeSpan StallTimeout { get; set; }

    /// <summary>The answer has begun with 200 and white space, and waits for its document: see <see cref="LateAnswer"/>.</summary>
    public bool IsKeptWaiting { get; set; }

    /// <summary>The object the request names, allocated when first asked for.</summary>
    public ObjectId Id => _id ??= Target.ToObjectId();

    /// <summary><c>/bucket/key</c> for error documents.</summary>
    public string Resource => Target.HasKey ? $"/{Target.Bucket}/{Target.Key}" : Target.HasBucket ? $"/{Target.Bucket}" : "/";

    public void Begin(HttpContext http, string requestId)
    {
        Http = http;
        Method = http.Request.Method;
        RequestId = requestId;
        StartedTimestamp = Stopwatch.GetTimestamp();
        Target = default;
        Operation = S3Operation.Other;
        Auth = default;
        Backend = null!;
        Outcome = null;
        Kind = MilvusKind.Other;
        FirstByteTimestamp = 0;
        BackendTime = TimeSpan.Zero;
        BytesSent = 0;
        BytesReceived = 0;
        CachedBytes = 0;
        ErrorCode = null;
        IsKeptWaiting = false;
        _id = null;
    }

    /// <summary>A form upload, once its policy is verified, goes on as the PUT it stands for.</summary>
    public void BecomePut(S3Target target, AuthenticatedRequest auth)
    {
        Method = "PUT";
        Operation = S3Operation.PutObject;
        Target = target;
        Auth = auth;
        _id = null;
    }

    /// <summary>The answer's head is about to go.</summary>
    public void MarkFirstByte() => FirstByteTimestamp = Stopwatch.GetTimestamp();

    /// <summary>What is to be said of it, now that it is over.</summary>
    public RequestRecord ToRecord()
    {
        var took = Stopwatch.GetElapsedTime(StartedTimestamp);
        return new RequestRecord
        {
            Client = Http.Connection.RemoteIpAddress,
            User = Auth.Credential?.AccessKey,
            Method = Method,
            Operation = Operation,
            Target = Target,
            Range = Headers["range"],
            Status = Response.StatusCode,
            ErrorCode = ErrorCode,
            Outcome = Outcome,
            Kind = Kind,
            BytesSent = BytesSent,
            BytesReceived = BytesReceived,
            CachedBytes = CachedBytes,
            Duration = took,
            FirstByte = FirstByteTimestamp == 0 ? took : Stopwatch.GetElapsedTime(StartedTimestamp, FirstByteTimestamp),
            Backend = BackendTime,
            RequestId = RequestId,
        };
    }

    public string? Header(string name) => Headers[name];
}
