namespace Proxy.Backends.Remote;

/// <summary>How long a forward's backend may keep silent, by what is asked of it.</summary>
internal static class ForwardPatience
{
    /// <returns>Until the head of the answer, and until more of the answer's body.</returns>
    /// <param name="bodyBytes">Of the request; null when its length is not known beforehand.</param>
    public static (TimeSpan Head, TimeSpan Body) Of(string operation, long? bodyBytes, RemoteOptions options)
    {
        if (TakesLong(operation))
        {
            return (options.ForwardTimeout, options.ForwardTimeout);
        }

        // Of unknown length: a client that streams, often much.
        var bySize = bodyBytes is { } bytes ? options.ResponseTimeout + (options.ResponseTimeoutPerMiB * (bytes / (double)(1 << 20))) : options.ForwardTimeout;
        return (bySize < options.ForwardTimeout ? bySize : options.ForwardTimeout, options.StallTimeout);
    }

    /// <summary>
    /// The backend puts an object together, reads one itself or deletes a thousand before it answers, or begins a 200 early and keeps it alive by white space (MinIO
    /// every 10 s). What we do not know may be events without end.
    /// </summary>
    private static bool TakesLong(string operation)
        => operation is "CompleteMultipartUpload" or "CopyObject" or "UploadPartCopy" or "DeleteObjects" or "PostObject" or "Other" or "Unknown";
}
