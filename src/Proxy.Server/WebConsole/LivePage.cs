using Microsoft.AspNetCore.Components;

namespace Proxy.Server.WebConsole;

/// <summary>A page that is drawn anew as time goes by.</summary>
public abstract class LivePage : ComponentBase, IDisposable
{
    /// <summary>Seconds between two drawings of charts, which are most of what an open page costs; a point of theirs is as long on a proxy that has run for a while.</summary>
    private const int ChartsEvery = 5;

    private int _seconds;
    private long _chartsAt;
    private bool _isOpen;

    [Inject]
    internal ConsoleRoom Room { get; set; } = null!;

    [Inject]
    private protected NavigationManager Navigation { get; set; } = null!;

    [CascadingParameter]
    private protected Visitor Visitor { get; set; } = null!;

    internal History History => Room.History;

    internal Admin.AdminService Operator => Room.Admin;

    /// <summary>Of the page's charts.</summary>
    private protected ChartFrame Frame { get; private set; }

    private protected IReadOnlyList<ChartPoint> Points { get; private set; } = [];

    /// <summary>Seconds between two drawings while no other page is open.</summary>
    protected virtual int Every => 2;

    /// <summary>Reads what the page shows: once at the start, then before every drawing.</summary>
    protected abstract void Look();

    /// <summary>Asked before everything that changes something: a page may be open for longer than its session lasts. Who is not signed in any more is shown where to.</summary>
    private protected bool MayAct()
    {
        if (Room.Sessions.IsAlive(Visitor.Id))
        {
            return true;
        }

        Navigation.NavigateTo("/signin", forceLoad: true);
        return false;
    }

    /// <returns>Whether it was time for it: <see cref="Points"/> are others now.</returns>
    private protected bool LookAtCharts()
    {
        var now = History.Now.Timestamp;
        if (Points.Count > 0 && History.Time.GetElapsedTime(_chartsAt, now).TotalSeconds < (Math.Max(ChartsEvery, Frame.Step) * Math.Max(1, Room.Turns.Open)) - 0.5)
        {
            return false;
        }

        (Frame, Points, _chartsAt) = (History.Frame, History.Chart(History.Frame), now);
        return true;
    }

    protected override void OnInitialized()
    {
        Look();
        Room.Turns.Enter();
        _isOpen = true;
        History.Ticked += OnTicked;
    }

    public void Dispose()
    {
        Dispose(disposing: true);
        GC.SuppressFinalize(this);
    }

    protected virtual void Dispose(bool disposing)
    {
        History.Ticked -= OnTicked;
        if (_isOpen)
        {
            _isOpen = false;
            Room.Turns.Leave();
        }
    }

    private void OnTicked(object? sender, EventArgs e)
    {
        if (Room.Turns.IsDue(ref _seconds, Every))
        {
            _ = InvokeAsync(() =>
            {
                Look();
                StateHasChanged();
            });
        }
    }
}
