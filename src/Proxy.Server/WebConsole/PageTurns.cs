namespace Proxy.Server.WebConsole;

/// <summary>Shares out what the console may cost among its open pages: each is drawn as much less often as there are more of them.</summary>
/// <remarks>
/// One page costs a busy server about 1 % of its capacity and five drawn at the same pace 2 % (bench/results/console-cost): in turns, five cost what one does.
/// Thread-safe.
/// </remarks>
internal sealed class PageTurns
{
    private int _open;

    public int Open => Volatile.Read(ref _open);

    public void Enter() => Interlocked.Increment(ref _open);

    public void Leave() => Interlocked.Decrement(ref _open);

    /// <summary>Counts one more second of a page that by itself would be drawn every <paramref name="every"/> seconds.</summary>
    /// <param name="seconds">Since the page was drawn; starts over when it is its turn.</param>
    public bool IsDue(ref int seconds, int every)
    {
        if (++seconds < every * Math.Max(1, Open))
        {
            return false;
        }

        seconds = 0;
        return true;
    }
}
