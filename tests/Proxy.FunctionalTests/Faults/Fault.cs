namespace Proxy.FunctionalTests.Faults;

/// <summary>What goes wrong with one request to a <see cref="FaultyBackend"/>. Several can be set at once.</summary>
internal sealed record Fault
{
    /// <summary>Before anything is answered.</summary>
    public TimeSpan Latency { get; init; }

    /// <summary>Answer this status with an error document instead of doing anything. The body is read first.</summary>
    public int? Status { get; init; }

    /// <summary>Behind the status, in place of its usual words.</summary>
    public string? ReasonPhrase { get; init; }

    /// <summary>With <see cref="Status"/>: answer and close before the body is read, as MinIO does.</summary>
    public bool BeforeBody { get; init; }

    /// <summary>Code of the error document; made out of the status when null.</summary>
    public string? Code { get; init; }

    /// <summary>With <see cref="Status"/>: the document comes so long after the head.</summary>
    public TimeSpan HeadFirst { get; init; }

    /// <summary>Do what was asked, then close the connection without an answer.</summary>
    public bool ResetAfterDoing { get; init; }

    /// <summary>Close the connection without doing anything.</summary>
    public bool ResetBeforeDoing { get; init; }

    /// <summary>Close the connection after this many bytes of the body.</summary>
    public long? ResetAfterBytes { get; init; }

    /// <summary>Send nothing more after this many bytes, until the reader goes away.</summary>
    public long? StallAfterBytes { get; init; }

    public bool StopsWithinBody => (ResetAfterBytes ?? StallAfterBytes) is not null;

    /// <summary>Send the body in pieces of 16 KiB, so fast.</summary>
    public int? BytesPerSecond { get; init; }

    /// <summary>Send the body as a line of this rate would: what a pause was too long by is made up for.</summary>
    public int? LineBytesPerSecond { get; init; }

    /// <summary>Answer a ranged GET with 200 and everything.</summary>
    public bool IgnoreRange { get; init; }

    /// <summary>Answer a ranged GET with a range one byte further on.</summary>
    public bool WrongContentRange { get; init; }

    /// <summary>The answer's ETag; empty for none.</summary>
    public string? ETag { get; init; }

    /// <summary>Quotes in the document of a completed upload are spelled as entities.</summary>
    public bool QuotesAsEntities { get; init; }

    /// <summary>Do nothing and say so inside a 200, after some white space.</summary>
    public bool ErrorUnder200 { get; init; }

    /// <summary>Do nothing and answer 200, or <see cref="Status"/>, with this XML document.</summary>
    public string? Document { get; init; }

    /// <summary>Answer 200 and white space at once, more of it every 200 ms, and do what was asked when this is done.</summary>
    public Task? WorksUntil { get; init; }

    /// <summary>Told when the first byte of the body is here.</summary>
    public TaskCompletionSource? BodyBegins { get; init; }

    /// <summary>Answer a read as if the object were this long; its bytes are <see cref="FaultyOperations.ByteAt"/>.</summary>
    public long? ObjectLength { get; init; }

    /// <summary>No Content-Length: chunked.</summary>
    public bool Chunked { get; init; }
}
