namespace Proxy.Backends.Remote;

/// <summary>The time as the backend sees it, for signatures: ours, until it refuses one for its date and tells its own.</summary>
/// <remarks>S3 refuses what was signed more than 15 minutes away from its own time. What the AWS SDK does for its own calls. Thread-safe.</remarks>
internal sealed class BackendClock(TimeProvider time) : TimeProvider
{
    /// <summary>Nearer than this a refusal had another reason.</summary>
    private static readonly TimeSpan Tolerated = TimeSpan.FromMinutes(5);

    private long _aheadTicks;

    public override DateTimeOffset GetUtcNow() => time.GetUtcNow() + new TimeSpan(Volatile.Read(ref _aheadTicks));

    /// <param name="told">The refusal's Date; null when it had none.</param>
    public void Compare(DateTimeOffset? told)
    {
        if (told is { } there && (there - GetUtcNow()).Duration() > Tolerated)
        {
            Volatile.Write(ref _aheadTicks, (there - time.GetUtcNow()).Ticks);
        }
    }
}
