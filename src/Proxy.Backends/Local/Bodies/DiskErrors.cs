using Proxy.S3.Errors;

namespace Proxy.Backends.Local.Bodies;

/// <summary>What a client is told when the disk refuses: one place for code and words.</summary>
public static class DiskErrors
{
    private const int NoSpace = 28;
    private const int QuotaExceeded = 122;

    /// <returns>503 SlowDown when space is missing (clients wait and try again), 500 InternalError otherwise.</returns>
    internal static S3Exception ToS3(Exception e) => IsFull(e)
        ? Full(e)
        : new S3Exception(S3ErrorCode.InternalError, message: "The store's disk refused the change.", innerException: e);

    internal static S3Exception Full(Exception? e) => new(S3ErrorCode.SlowDown, message: "The store's disk is full: delete objects or give it more space.", innerException: e);

    /// <summary>Whether a disk, any, has no room left or its quota is used up.</summary>
    /// <remarks>.NET puts errno into HResult on Unix.</remarks>
    public static bool IsFull(Exception e) => e is IOException && IsFull(e.HResult);

    internal static bool IsFull(int errno) => errno is NoSpace or QuotaExceeded;
}
