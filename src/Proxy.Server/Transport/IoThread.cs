using System.Diagnostics;
using System.Runtime.CompilerServices;
using Proxy.Cache;

namespace Proxy.Server.Transport;

/// <summary>Leaves a thread that serves other connections too: an <see cref="EventLoop"/>'s, or the runtime's own socket engine's, where backends' answers arrive.</summary>
/// <remarks>
/// A request is parsed, authenticated and, when it is a hit, answered on the very thread that saw its bytes arrive: no hand-over, which at 4 to 64 KiB is a third of the
/// cost of a request (bench/results/serving-path). Whatever may take longer (a miss, an upload) goes on from the pool instead.
/// </remarks>
internal static class IoThread
{
    /// <summary>Read by the socket engine when it starts; must be set before the first socket.</summary>
    private const string InlineCompletions = "DOTNET_SYSTEM_NET_SOCKETS_INLINE_COMPLETIONS";

    // 500 µs: 250 and 1000 gave the same within noise, 50 cost a tenth of the throughput.
    private static readonly long Turn = Stopwatch.Frequency / 2000;

    [ThreadStatic]
    private static long _turnStarted;

    /// <summary>Completes at once on a pool thread, otherwise continues on one.</summary>
    /// <param name="unlessQuiet">
    /// Stays where nobody else waits for this thread: for what only signs a request and sends it. A change of threads is a fifth of the CPU of what a log asks for
    /// (bench/results/miss-overhead); behind many of them the others' hits would have to wait.
    /// </param>
    public static Departure LeaveAsync(bool unlessQuiet = false) => new(mayStay: unlessQuiet && EventLoop.IsQuiet);

    /// <summary>
    /// Lets completions of other sockets than clients' (backends', above all) run on the socket engine's own threads: a miss changes threads twice less. To be called before
    /// any socket is opened.
    /// </summary>
    public static void EnableInlineCompletions()
    {
        if (Environment.GetEnvironmentVariable(InlineCompletions) is null)
        {
            Environment.SetEnvironmentVariable(InlineCompletions, "1");
        }
    }

    /// <summary>
    /// To be called before work that does not wait: lets other threads of this core run when this one has been at it for <see cref="Turn"/>. Batches of hits would
    /// otherwise keep a core for a whole time slice of the kernel, and everybody else, the clients of a shared machine too, that long from it: p99 at 32
    /// connections 4.0 → 2.3 ms (HEAD), 4.1 → 2.8 (64 KiB), 15 → 8.8 (1 MiB), at the same capacity (bench/results/serving-path).
    /// </summary>
    /// <param name="now"><see cref="Stopwatch"/> timestamp.</param>
    public static void EndTurn(long now)
    {
        if (now - _turnStarted > Turn)
        {
            if (_turnStarted == 0 && !Thread.CurrentThread.IsThreadPoolThread)
            {
                SchedulerSlice.Shorten(); // those that read NVMe, at their first hit
            }

            Thread.Yield();
            _turnStarted = Stopwatch.GetTimestamp();
        }
    }

    public readonly struct Departure(bool mayStay) : ICriticalNotifyCompletion
    {
        public bool IsCompleted => mayStay || Thread.CurrentThread.IsThreadPoolThread;

        public Departure GetAwaiter() => this;

        public void GetResult()
        {
        }

        public void OnCompleted(Action continuation) => ThreadPool.QueueUserWorkItem(static next => next(), continuation, preferLocal: false);

        public void UnsafeOnCompleted(Action continuation) => ThreadPool.UnsafeQueueUserWorkItem(static next => next(), continuation, preferLocal: false);
    }
}
