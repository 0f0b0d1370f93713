namespace Proxy.UnitTests.Cache;

/// <summary>Runs tasks one at a time on the caller's thread, in an order the test decides: every continuation is a step, and every step can be delayed.</summary>
/// <remarks>What is under test must stay on <see cref="TaskScheduler.Current"/>; whatever leaves it shows as a run that never ends, and fails.</remarks>
internal sealed class SteppingScheduler : TaskScheduler
{
    private readonly Lock _lock = new();
    private readonly List<Task> _ready = [];

    public override int MaximumConcurrencyLevel => 1;

    public Task Start(Func<Task> work) => Task.Factory.StartNew(async () => await work(), CancellationToken.None, TaskCreationOptions.None, this).Unwrap();

    /// <summary>Runs until <paramref name="all"/> is complete.</summary>
    /// <param name="choose">Given how many steps are ready (2 or more), which one goes first; 0 is the oldest.</param>
    /// <returns>How many choices there were.</returns>
    public int Run(Task all, Func<int, int, int> choose)
    {
        var choices = 0;
        for (var steps = 0; !all.IsCompleted; steps++)
        {
            Task next;
            lock (_lock)
            {
                Assert.True(_ready.Count > 0, "Nothing is ready and yet it is not over: a deadlock, or work that left the scheduler.");
                Assert.True(steps < 100_000, "It never ends.");
                var index = _ready.Count > 1 ? choose(choices++, _ready.Count) : 0;
                next = _ready[index];
                _ready.RemoveAt(index);
            }

            TryExecuteTask(next);
        }

        return choices;
    }

    protected override void QueueTask(Task task)
    {
        lock (_lock)
        {
            _ready.Add(task);
        }
    }

    // Nothing runs inline: that would be a step nobody chose.
    protected override bool TryExecuteTaskInline(Task task, bool taskWasPreviouslyQueued) => false;

    protected override IEnumerable<Task> GetScheduledTasks()
    {
        lock (_lock)
        {
            return [.. _ready];
        }
    }
}
