using System.Diagnostics;

namespace Proxy.UnitTests;

/// <summary>Waits that end: what never comes fails its own test, in words, and does not hold up the whole run.</summary>
internal static class Patience
{
    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(1);

    /// <param name="condition">Asked every millisecond: what it asks is at hand.</param>
    /// <param name="orElse">What is said when it never held.</param>
    public static async Task UntilAsync(Func<bool> condition, Func<string> orElse)
    {
        var started = Stopwatch.GetTimestamp();
        while (!condition())
        {
            Assert.True(Stopwatch.GetElapsedTime(started) < Limit, $"After {Limit}: {orElse()}");
            await Task.Delay(1, TestContext.Current.CancellationToken);
        }
    }
}
