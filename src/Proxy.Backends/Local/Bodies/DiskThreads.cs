using System.Collections.Concurrent;

namespace Proxy.Backends.Local.Bodies;

/// <summary>A few threads of their own for calls that wait on the disk, so that no flush holds a thread-pool thread.</summary>
/// <remarks>Thread-safe. Dispose finishes what was queued.</remarks>
internal sealed class DiskThreads : IDisposable
{
    private readonly BlockingCollection<(Action Work, TaskCompletionSource? Done)> _queue = [];
    private readonly Thread[] _threads;

    public DiskThreads(int count)
    {
        _threads = new Thread[count];
        for (var i = 0; i < count; i++)
        {
            _threads[i] = new Thread(Run) { IsBackground = true, Name = $"disk-{i}" };
            _threads[i].Start();
        }
    }

    public Task RunAsync(Action work)
    {
        var done = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        _queue.Add((work, done));
        return done.Task;
    }

    /// <summary>Nobody waits for it, and it must not throw. Dropped when the threads have stopped: a reader may outlive its store.</summary>
    public void Post(Action work)
    {
        try
        {
            _queue.Add((work, null));
        }
        catch (InvalidOperationException)
        {
            // Removing a file is all that is ever posted; the sweep of the next start does it.
        }
    }

    public void Dispose()
    {
        _queue.CompleteAdding();
        foreach (var thread in _threads)
        {
            thread.Join();
        }

        _queue.Dispose();
    }

    private void Run()
    {
        foreach (var (work, done) in _queue.GetConsumingEnumerable())
        {
            try
            {
                work();
                done?.SetResult();
            }
            catch (Exception e)
            {
                done?.SetException(e);
            }
        }
    }
}
