using System.Runtime.CompilerServices;

namespace Proxy.Server.DirectOutput;

/// <summary>Leaves the thread that the socket engine runs on.</summary>
/// <remarks>
/// With inline scheduling a request is parsed, authenticated and, when it is a hit, answered on the very thread that saw its bytes arrive: no
/// hand-over, which at 4 to 64 KiB is a third of the cost of a request (bench/results/serving-path). That thread serves other connections
/// too, so whatever may take longer (a miss, an upload, a large body) goes on from the pool instead.
/// </remarks>
internal static class IoThread
{
    /// <summary>Read by the socket engine when it starts; must be set before the first socket.</summary>
    private const string InlineCompletions = "DOTNET_SYSTEM_NET_SOCKETS_INLINE_COMPLETIONS";

    /// <summary>Completes at once on a pool thread, otherwise continues on one.</summary>
    public static Departure LeaveAsync() => default;

    /// <summary>Lets socket completions run on the socket engine's own threads. To be called before any socket is opened.</summary>
    public static void EnableInlineCompletions()
    {
        if (Environment.GetEnvironmentVariable(InlineCompletions) is null)
        {
            Environment.SetEnvironmentVariable(InlineCompletions, "1");
        }
    }

    public readonly struct Departure : ICriticalNotifyCompletion
    {
        public bool IsCompleted => Thread.CurrentThread.IsThreadPoolThread;

        public Departure GetAwaiter() => this;

        public void GetResult()
        {
        }

        public void OnCompleted(Action continuation) => ThreadPool.QueueUserWorkItem(static next => next(), continuation, preferLocal: false);

        public void UnsafeOnCompleted(Action continuation) => ThreadPool.UnsafeQueueUserWorkItem(static next => next(), continuation, preferLocal: false);
    }
}
