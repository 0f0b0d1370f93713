namespace Proxy.Backends.Remote;

/// <summary>One read's place among those that the backend gets at once; dispose it when the read is over.</summary>
/// <remarks>Given by <see cref="RemoteBackend.EnterReadAsync"/>. Used by one read; disposing it again, also from elsewhere, does nothing.</remarks>
public sealed class ReadTurn : IDisposable
{
    /// <summary>On a request that is sent in a turn: it waits for its answer no longer than <see cref="TimeLeft"/>.</summary>
    public static readonly HttpRequestOptionsKey<ReadTurn> Key = new("Proxy.ReadTurn");

    private readonly ReadLimit _limit;
    private readonly TimeSpan _patience;
    private int _isHeld = 1;

    internal ReadTurn(ReadLimit limit, long since, TimeSpan patience, int sight)
    {
        (_limit, Since, _patience, Sight) = (limit, since, patience, sight);
    }

    /// <summary>When the read asked for its first turn: its age, by which it waits.</summary>
    internal long Since { get; }

    /// <summary>What was known of the backend when the turn was given: news from an older sight is none.</summary>
    internal int Sight { get; set; }

    /// <summary>It is held for as long as a client likes.</summary>
    internal bool AtReadersPace { get; init; }

    /// <summary>Until the read has waited as long as one may for the head of its answer, turns and tries together; not below zero.</summary>
    internal TimeSpan TimeLeft => _limit.TimeLeft(Since, _patience);

    /// <summary>The backend said 503 or 429: gives the place back and waits, oldest first, for another.</summary>
    /// <returns>False when it has waited long enough: the turn is over.</returns>
    public async ValueTask<bool> AgainAsync(CancellationToken cancellation)
    {
        if (Interlocked.Exchange(ref _isHeld, 0) == 0 || !await _limit.RefusedAsync(this, cancellation).ConfigureAwait(false))
        {
            return false;
        }

        Volatile.Write(ref _isHeld, 1);
        return true;
    }

    /// <summary>The backend answered, whatever it said but 503 and 429.</summary>
    public void Answered() => _limit.Answered(this);

    public void Dispose()
    {
        if (Interlocked.Exchange(ref _isHeld, 0) != 0)
        {
            _limit.Leave(this);
        }
    }
}
