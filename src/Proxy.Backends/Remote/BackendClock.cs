using System.Globalization;
using Proxy.S3.Xml;

namespace Proxy.Backends.Remote;

/// <summary>The time as the backend sees it, for signatures: ours, until it refuses one for its date and tells its own.</summary>
/// <remarks>S3 refuses what was signed more than 15 minutes away from its own time. What the AWS SDK does for its own calls. Thread-safe.</remarks>
/// <param name="set">Told by how much the backend's time is ahead of ours, whenever that is learnt.</param>
internal sealed class BackendClock(TimeProvider time, Action<TimeSpan> set) : TimeProvider
{
    /// <summary>Nearer than this a refusal had another reason.</summary>
    private static readonly TimeSpan Tolerated = TimeSpan.FromMinutes(5);

    private long _aheadTicks;

    public override DateTimeOffset GetUtcNow() => time.GetUtcNow() + new TimeSpan(Volatile.Read(ref _aheadTicks));

    /// <summary>Whether a request was refused for the date that it was signed with. The clock is set by then: signed anew, the request would be taken.</summary>
    /// <param name="response">Its document is read only where the dates are far apart, and can be read again.</param>
    public async ValueTask<bool> WasMisdatedAsync(HttpResponseMessage response, CancellationToken cancellation)
    {
        if ((int)response.StatusCode != 403 || !AreFarApart(response))
        {
            return false;
        }

        await response.Content.LoadIntoBufferAsync(ErrorXml.MaxBytes, cancellation).ConfigureAwait(false);
        var document = await response.Content.ReadAsByteArrayAsync(cancellation).ConfigureAwait(false);

        // That of a HEAD has no document, and may have no code at all.
        var code = ErrorXml.TryRead(document, out var error) ? error.Code : ObjectFacts.Header(response, "x-minio-error-code");
        if (code is not (null or "SignatureDoesNotMatch") && !IsAboutTime(code))
        {
            return false;
        }

        // By the first of those that were under way together; the others were signed before.
        var there = response.Headers.Date!.Value;
        if ((there - GetUtcNow()).Duration() > Tolerated)
        {
            var ahead = there - time.GetUtcNow();
            Volatile.Write(ref _aheadTicks, ahead.Ticks);
            set(ahead);
        }

        return true;
    }

    /// <summary>The code says that a signature's date is wrong there.</summary>
    public static bool IsAboutTime(string code) => code is "RequestTimeTooSkewed" or "RequestExpired" or "RequestInTheFuture";

    private static bool AreFarApart(HttpResponseMessage response)
        => response.Headers.Date is { } told && response.RequestMessage is { } request && request.Headers.NonValidated.TryGetValues("x-amz-date", out var signed)
            && DateTimeOffset.TryParseExact(signed.ToString(), "yyyyMMdd'T'HHmmss'Z'", CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var ours)
            && (told - ours).Duration() > Tolerated;
}
