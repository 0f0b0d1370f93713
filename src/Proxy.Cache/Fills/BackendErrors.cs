using Proxy.S3.Errors;
using Proxy.S3.Objects;

namespace Proxy.Cache.Fills;

/// <summary>Tells what a failed backend request means for the cache.</summary>
internal static class BackendErrors
{
    /// <summary>Overloaded or unreachable: worth asking again, and no word about the object.</summary>
    public static bool IsTransient(S3Exception e) => e.Code.Status >= 500 && e.Code != S3ErrorCode.NotImplemented || e.Code == S3ErrorCode.RequestTimeout;

    /// <summary>Whether the backend gave no word about the object: it cannot be asked, or says itself that it cannot answer now. A refusal is a word, also of the proxy's own keys.</summary>
    public static bool IsUnreachable(Exception e)
        => e is S3Exception refusal
            ? refusal.Code == S3ErrorCode.SlowDown || refusal.Code == S3ErrorCode.ServiceUnavailable || refusal.Code == S3ErrorCode.RequestTimeout
            : e is not OperationCanceledException;

    /// <summary>What a reader is told: 503 SlowDown, which every client of S3 retries, unless the backend said something itself.</summary>
    public static S3Exception AsUnavailable(Exception e, ObjectId id)
        => e as S3Exception ?? new S3Exception(S3ErrorCode.SlowDown, "/" + id, innerException: e);

    /// <summary>What a reader is told once bytes have left: nothing but a broken connection is right then.</summary>
    public static IOException Broken(ObjectId id, Exception? inner) => new($"The rest of {id} cannot be had.", inner);
}
