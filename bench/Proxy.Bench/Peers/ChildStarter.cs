using System.Collections.Concurrent;

namespace Proxy.Bench.Peers;

/// <summary>The thread that starts all child processes, and lives as long as the bench.</summary>
/// <remarks>
/// Children are told by the kernel to end with the bench, also when that is killed (<c>setpriv --pdeathsig</c>). To the kernel, which parent that is means which thread: one of the
/// pool's may go at any time.
/// </remarks>
internal static class ChildStarter
{
    private static readonly Lazy<BlockingCollection<Task>> Starts = new(Begin);

    /// <summary>Runs it there and waits for it; what it throws is thrown.</summary>
    public static void Run(Action start)
    {
        var task = new Task(start);
        Starts.Value.Add(task);
        task.GetAwaiter().GetResult();
    }

    private static BlockingCollection<Task> Begin()
    {
        var starts = new BlockingCollection<Task>();
        new Thread(() =>
        {
            foreach (var start in starts.GetConsumingEnumerable())
            {
                start.RunSynchronously(TaskScheduler.Default);
            }
        })
        { IsBackground = true, Name = "starts children" }.Start();
        return starts;
    }
}
