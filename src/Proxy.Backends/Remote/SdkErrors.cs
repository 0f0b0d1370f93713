using System.Net;
using Amazon.Runtime;
using Proxy.S3.Errors;
using Proxy.S3.Objects;

namespace Proxy.Backends.Remote;

/// <summary>Turns whatever a read of ours failed with into what the client should see.</summary>
/// <remarks>The one rule that matters: 404 only when the backend itself said so. A backend that cannot be asked is 503, which every SDK retries.</remarks>
internal static class SdkErrors
{
    private static readonly Dictionary<string, S3ErrorCode> ByName = new S3ErrorCode[]
    {
        S3ErrorCode.AccessDenied, S3ErrorCode.NoSuchKey, S3ErrorCode.NoSuchBucket, S3ErrorCode.NoSuchVersion, S3ErrorCode.InvalidRange,
        S3ErrorCode.InvalidPartNumber, S3ErrorCode.PreconditionFailed, S3ErrorCode.NotModified, S3ErrorCode.InvalidArgument,
        S3ErrorCode.InvalidRequest, S3ErrorCode.NoSuchUpload, S3ErrorCode.EntityTooLarge, S3ErrorCode.InvalidTag, S3ErrorCode.InvalidBucketName, S3ErrorCode.KeyTooLongError, S3ErrorCode.MethodNotAllowed, S3ErrorCode.NotImplemented,
    }.ToDictionary(code => code.Name, StringComparer.Ordinal);

    /// <param name="callStatus">Status of the answer; 0 when none came.</param>
    public static S3Exception Translate(Exception failure, ObjectId? id, string bucket, int callStatus)
    {
        var resource = id is { } known ? $"/{bucket}/{known.Key}" : $"/{bucket}";
        switch (failure)
        {
            case S3Exception already:
                return already;
            case AmazonServiceException service when (int)service.StatusCode != 0:
                return FromStatus(service.StatusCode, service.ErrorCode, resource, id is not null, etag: null, failure);
            case OperationCanceledException or BackendSilentException:
                return SlowDown(resource, "The backend did not answer in time.", failure);
            default:
                return callStatus == 0
                    ? SlowDown(resource, "The backend cannot be reached.", failure)
                    : SlowDown(resource, "The backend's answer could not be read.", failure);
        }
    }

    public static S3Exception SlowDown(string? resource, string message, Exception? cause)
        => new(S3ErrorCode.SlowDown, resource, message, cause) { Headers = [new("Retry-After", "1")] };

    /// <summary>The backend said something that cannot be true; its bytes are not passed on.</summary>
    public static S3Exception Nonsense(string resource, string what)
        => new(S3ErrorCode.InternalError, resource, $"The backend's answer was refused: {what}.");

    /// <param name="code">Of the error document; null when there was none.</param>
    /// <param name="etag">Of the answer, for 304 and 412.</param>
    public static S3Exception FromStatus(HttpStatusCode status, string? code, string resource, bool isObject, string? etag, Exception? cause)
    {
        if (code is not null && ByName.TryGetValue(code, out var same) && same.Status == (int)status)
        {
            return With(same, resource, etag, cause);
        }

        // A HEAD has no body to carry one.
        code ??= status.ToString();
        switch ((int)status)
        {
            case 304:
                return With(S3ErrorCode.NotModified, resource, etag, cause);
            case 404:
                return With(isObject ? S3ErrorCode.NoSuchKey : S3ErrorCode.NoSuchBucket, resource, etag, cause);
            case 412:
                return With(S3ErrorCode.PreconditionFailed, resource, etag, cause);
            case 416:
                return With(S3ErrorCode.InvalidRange, resource, etag, cause);
            // Our own keys are wrong there, not the client's: a client must not take it for its own signature.
            case 400 or 401 or 403 when KeyRefusals.IsOne(status, code):
                return KeyRefusals.AsError(code, resource, cause);
            case 401 or 403:
                return With(S3ErrorCode.AccessDenied, resource, etag, cause);
            case 405:
                return With(S3ErrorCode.MethodNotAllowed, resource, etag, cause);
            // 408, 425 and 499 are about time too, said by whatever stands before the store.
            case 408 or 425 or 429 or 499 or >= 500 and not 501:
                return SlowDown(resource, $"The backend answered {(int)status} {code}.", cause);
            case 301 or 302 or 307 or 308:
                return new S3Exception(S3ErrorCode.InternalError, resource, $"The backend redirects this bucket ({(int)status} {code}): set the backend's Endpoints and Region to the bucket's own.", cause);
            case 501:
                return With(S3ErrorCode.NotImplemented, resource, etag, cause);
            default:
                return new S3Exception(S3ErrorCode.InvalidRequest, resource, $"The backend answered {(int)status} {code}.", cause);
        }
    }

    private static S3Exception With(S3ErrorCode code, string resource, string? etag, Exception? cause)
        => new(code, resource, null, cause) { Headers = etag is not null && code.Status == 304 ? [new("ETag", etag)] : [] };
}
