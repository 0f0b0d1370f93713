namespace Proxy.Server.Transport;

/// <summary>When a loop looks after its connections, and which of them it has waited for long enough.</summary>
/// <remarks>
/// All times are <see cref="Environment.TickCount64"/>. A process that was stopped, or whose machine was, comes back to waits that went on without it: nobody was served meanwhile, and
/// nobody is left for it. For one thread.
/// </remarks>
internal sealed class LookClock
{
    public const int EveryMilliseconds = 1000;

    /// <summary>Nearly two pass where the loop is woken just before a look is due and has nothing to do after that; from three on nobody was there.</summary>
    private const int MostBetweenMilliseconds = 3 * EveryMilliseconds;

    private long _looked = long.MinValue / 2;
    private long _wasAway;

    /// <summary>Whether it is time to look; then <paramref name="now"/> is what <see cref="IsOver"/> judges by.</summary>
    public bool IsDue(long now)
    {
        var since = now - _looked;
        if (since < EveryMilliseconds)
        {
            return false;
        }

        if (since > MostBetweenMilliseconds)
        {
            _wasAway = now;
        }

        _looked = now;
        return true;
    }

    /// <param name="since">0 where nobody waits.</param>
    public bool IsOver(long since, long mostMilliseconds) => since > 0 && _looked - Math.Max(since, _wasAway) > mostMilliseconds;
}
