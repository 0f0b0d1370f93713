namespace Proxy.S3.Errors;

/// <summary>A refusal the client should see. Code, status and text come from the one table in <see cref="S3ErrorCode"/>.</summary>
public sealed class S3Exception : Exception
{
    public S3Exception(S3ErrorCode code, string? resource = null, string? message = null, Exception? innerException = null)
        : base(message ?? code.Message, innerException)
    {
        Code = code;
        Resource = resource;
    }

    public S3ErrorCode Code { get; }

    /// <summary>The bucket or object it is about, as <c>/bucket/key</c>; null when the request target says enough.</summary>
    public string? Resource { get; }

    /// <summary>Further elements of the error document, such as BucketName, Key, ArgumentName, Condition.</summary>
    public IReadOnlyList<KeyValuePair<string, string>> Details { get; init; } = [];

    /// <summary>Further headers of the answer, such as Content-Range of a 416 or Retry-After of a 503.</summary>
    public IReadOnlyList<KeyValuePair<string, string>> Headers { get; init; } = [];
}
