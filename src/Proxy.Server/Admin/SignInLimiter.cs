using System.Net;

namespace Proxy.Server.Admin;

/// <summary>Slows down guessing: after a few wrong secrets an address has to wait, and all addresses together too.</summary>
/// <remarks>Only failures count, so a tool that signs every call is not slowed. Thread-safe, bounded.</remarks>
internal sealed class SignInLimiter(TimeProvider time)
{
    /// <summary>Wrong secrets of one address in <see cref="Window"/>; the next has to wait. At this rate a list of a million takes months.</summary>
    public const int PerAddress = 5;

    /// <summary>Of all addresses together: whoever has many addresses is stopped here.</summary>
    public const int Together = 50;

    public static readonly TimeSpan Window = TimeSpan.FromMinutes(1);

    private const int MostAddresses = 10_000;
    private readonly Lock _lock = new();
    private readonly Dictionary<IPAddress, Count> _failures = [];
    private Count _all;

    /// <returns>False: answer 429, and do not look at the secret.</returns>
    public bool MayTry(IPAddress address, out TimeSpan wait)
    {
        lock (_lock)
        {
            var own = _failures.GetValueOrDefault(address);
            var blocked = own.IsCurrent(time) && own.Failures >= PerAddress ? own : _all.IsCurrent(time) && _all.Failures >= Together ? _all : default;
            wait = blocked.Failures > 0 ? Window - time.GetElapsedTime(blocked.Since) : TimeSpan.Zero;
            return blocked.Failures == 0;
        }
    }

    public void Failed(IPAddress address)
    {
        lock (_lock)
        {
            if (_failures.Count >= MostAddresses)
            {
                _failures.Clear();
            }

            _failures[address] = _failures.GetValueOrDefault(address).Next(time);
            _all = _all.Next(time);
        }
    }

    public void Succeeded(IPAddress address)
    {
        lock (_lock)
        {
            _failures.Remove(address);
        }
    }

    /// <param name="Since">By the clock that nobody sets: one put back would keep people out for as long.</param>
    private readonly record struct Count(int Failures, long Since)
    {
        public bool IsCurrent(TimeProvider time) => Failures > 0 && time.GetElapsedTime(Since) < Window;

        public Count Next(TimeProvider time) => IsCurrent(time) ? this with { Failures = Failures + 1 } : new Count(1, time.GetTimestamp());
    }
}
