using System.Diagnostics;

namespace Proxy.FunctionalTests.Hosting;

/// <summary>Waits that end: what never comes fails its own test, in words, and does not hold up the whole run.</summary>
internal static class Patience
{
    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(1);

    /// <param name="condition">Asked every few milliseconds.</param>
    /// <param name="orElse">What is said when it never held.</param>
    public static Task UntilAsync(Func<bool> condition, Func<string> orElse) => UntilAsync(() => Task.FromResult(condition()), orElse, TimeSpan.FromMilliseconds(5));

    /// <param name="condition">Asks the proxy, as a rule.</param>
    /// <param name="orElse">What is said when it never held.</param>
    public static Task UntilAsync(Func<Task<bool>> condition, Func<string> orElse) => UntilAsync(condition, orElse, TimeSpan.FromMilliseconds(50));

    private static async Task UntilAsync(Func<Task<bool>> condition, Func<string> orElse, TimeSpan pause)
    {
        var started = Stopwatch.GetTimestamp();
        while (!await condition())
        {
            Assert.True(Stopwatch.GetElapsedTime(started) < Limit, $"After {Limit}: {orElse()}");
            await Task.Delay(pause, TestContext.Current.CancellationToken);
        }
    }
}
