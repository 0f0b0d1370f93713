namespace Proxy.FunctionalTests.Faults;

/// <summary>The machine's time, less so much.</summary>
internal sealed class ClockBehind(TimeSpan by) : TimeProvider
{
    public override DateTimeOffset GetUtcNow() => base.GetUtcNow() - by;
}
