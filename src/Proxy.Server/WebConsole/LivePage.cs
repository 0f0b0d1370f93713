using Microsoft.AspNetCore.Components;

namespace Proxy.Server.WebConsole;

/// <summary>A page that is drawn anew as time goes by.</summary>
public abstract class LivePage : ComponentBase, IDisposable
{
    private int _ticks;

    [Inject]
    internal ConsoleRoom Room { get; set; } = null!;

    [CascadingParameter]
    private protected Visitor Visitor { get; set; } = null!;

    internal History History => Room.History;

    internal Admin.AdminService Operator => Room.Admin;

    /// <summary>Of the page's charts.</summary>
    private protected ChartFrame Frame { get; private set; }

    private protected IReadOnlyList<ChartPoint> Points { get; private set; } = [];

    /// <summary>Seconds between two drawings.</summary>
    protected virtual int Every => 2;

    /// <summary>Reads what the page shows: once at the start, then before every drawing.</summary>
    protected abstract void Look();

    private protected void LookAtCharts()
    {
        Frame = History.Frame;
        Points = History.Chart(Frame);
    }

    protected override void OnInitialized()
    {
        Look();
        History.Ticked += OnTicked;
    }

    public void Dispose()
    {
        Dispose(disposing: true);
        GC.SuppressFinalize(this);
    }

    protected virtual void Dispose(bool disposing) => History.Ticked -= OnTicked;

    private void OnTicked(object? sender, EventArgs e)
    {
        if (Interlocked.Increment(ref _ticks) % Every == 0)
        {
            _ = InvokeAsync(() =>
            {
                Look();
                StateHasChanged();
            });
        }
    }
}
