using Spectre.Console;

namespace Proxy.Bench.Report;

/// <summary>How far a run has come: a bar on a terminal, and elsewhere only the lines that stay.</summary>
/// <remarks>Thread-safe, as Spectre's progress is.</remarks>
internal sealed class RunProgress
{
    private readonly IAnsiConsole _console;
    private readonly ProgressContext? _context;
    private readonly ProgressTask? _task;

    private RunProgress(IAnsiConsole console, ProgressContext? context, ProgressTask? task) => (_console, _context, _task) = (console, context, task);

    /// <param name="steps">What <see cref="Advance"/> comes to in the end.</param>
    /// <param name="drawsAlone">False: drawn only when something is told, for runs that count this process's own CPU time.</param>
    public static async Task<T> ShowAsync<T>(IAnsiConsole console, string title, double steps, Func<RunProgress, Task<T>> work, bool drawsAlone = true)
    {
        if (!console.Profile.Capabilities.Interactive || Console.IsOutputRedirected)
        {
            return await work(new RunProgress(console, null, null));
        }

        var progress = console.Progress().AutoRefresh(drawsAlone)
            .Columns(new TaskDescriptionColumn { Alignment = Justify.Left }, new ProgressBarColumn(), new PercentageColumn(), new ElapsedTimeColumn(), new RemainingTimeColumn());
        progress.RefreshRate = TimeSpan.FromMilliseconds(500);
        return await progress.StartAsync(async context =>
        {
            var task = context.AddTask(Markup.Escape(title), maxValue: Math.Max(steps, double.Epsilon));
            return await work(new RunProgress(console, drawsAlone ? null : context, task));
        });
    }

    /// <summary>Names what is being done; only a bar shows it.</summary>
    public void Begin(string what)
    {
        if (_task is not null)
        {
            _task.Description = Markup.Escape(what);
            _context?.Refresh();
        }
    }

    public void Advance(double steps = 1)
    {
        _task?.Increment(steps);
        _context?.Refresh();
    }

    /// <summary>Says something that stays, above the bar.</summary>
    public void Line(string text) => _console.WriteLine(text);
}
