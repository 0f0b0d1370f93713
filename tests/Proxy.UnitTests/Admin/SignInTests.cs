using System.Net;
using Microsoft.Extensions.Time.Testing;
using Proxy.S3.Auth;
using Proxy.Server.Admin;
using Proxy.Server.Telemetry;

namespace Proxy.UnitTests.Admin;

public sealed class SignInTests
{
    private readonly FakeTimeProvider _time = new();

    [Fact]
    public void Limiter_FiveFailures_BlockThatAddressForAMinute()
    {
        var limiter = new SignInLimiter(_time);
        var guesser = IPAddress.Parse("10.0.0.1");
        for (var i = 0; i < SignInLimiter.PerAddress; i++)
        {
            Assert.True(limiter.MayTry(guesser, out _));
            limiter.Failed(guesser);
        }

        Assert.False(limiter.MayTry(guesser, out var wait));
        Assert.Equal(SignInLimiter.Window, wait);
        Assert.True(limiter.MayTry(IPAddress.Parse("10.0.0.2"), out _));
        _time.Advance(SignInLimiter.Window);
        Assert.True(limiter.MayTry(guesser, out _));
    }

    [Fact]
    public void Limiter_ManyAddresses_AreStoppedTogether()
    {
        var limiter = new SignInLimiter(_time);
        for (var i = 0; i < SignInLimiter.Together; i++)
        {
            limiter.Failed(new IPAddress(0x0100_000A + ((long)i << 24)));
        }

        Assert.False(limiter.MayTry(IPAddress.Parse("192.168.1.1"), out _));
    }

    [Fact]
    public void Session_EndsWhenIdleOrOldOrSignedOut()
    {
        var sessions = new Sessions(_time, new CredentialTable([new("root", "a secret")]));
        var token = sessions.Begin("root");
        Assert.Equal("root", sessions.Find(token)!.AccessKey);
        Assert.Null(sessions.Find(token + "0"));
        _time.Advance(Sessions.Idle + TimeSpan.FromSeconds(1));
        Assert.Null(sessions.Find(token));

        var used = sessions.Begin("root");
        for (var spent = TimeSpan.Zero; spent < Sessions.Longest; spent += Sessions.Idle / 2)
        {
            Assert.NotNull(sessions.Find(used));
            _time.Advance(Sessions.Idle / 2);
        }

        _time.Advance(TimeSpan.FromSeconds(1));
        Assert.Null(sessions.Find(used));

        var left = sessions.Begin("root");
        sessions.End(left);
        Assert.Null(sessions.Find(left));
    }

    /// <summary>Nobody is kept out, and no session stays open, by an hour that comes twice.</summary>
    [Fact]
    public void LimiterAndSession_ClockIsPutBack_LastNoLonger()
    {
        var time = new SettableClock(_time);
        var limiter = new SignInLimiter(time);
        var guesser = IPAddress.Parse("10.0.0.1");
        for (var i = 0; i < SignInLimiter.PerAddress; i++)
        {
            limiter.Failed(guesser);
        }

        var sessions = new Sessions(time, new CredentialTable([new("root", "a secret")]));
        var token = sessions.Begin("root");
        time.SetBackBy = TimeSpan.FromDays(1);
        _time.Advance(SignInLimiter.Window);
        Assert.True(limiter.MayTry(guesser, out _));
        _time.Advance(Sessions.Idle);
        Assert.Null(sessions.Find(token));
    }

    /// <summary>Keys are taken away because somebody has them who should not: the console must not stay open to him for the rest of the day.</summary>
    [Fact]
    public void Session_WhoseKeysWereTakenAwayOrChanged_Ends()
    {
        var credentials = new CredentialTable([new("root", "a secret")]);
        var sessions = new Sessions(_time, credentials);
        var token = sessions.Begin("root");
        var id = sessions.Find(token)!.Id;
        credentials.Replace([new("root", "a secret"), new("other", "another")]);
        Assert.True(sessions.IsAlive(id));
        foreach (var next in (Credential[])[new("other", "another"), new("root", "rotated"), new("root", "a secret", policy: new AccessPolicy([new("*", "", ReadOnly: true)]))])
        {
            credentials.Replace([next]);
            Assert.Null(sessions.Find(token));
            Assert.False(sessions.IsAlive(id));
        }
    }

    [Fact]
    public void Latency_Percentiles_AreRightToNinePercent()
    {
        var histogram = new LatencyHistogram();
        var before = histogram.Counts();
        Assert.Equal(TimeSpan.Zero, LatencyHistogram.Percentile(before, before, 0.5));
        for (var i = 1; i <= 1000; i++)
        {
            histogram.Record(TimeSpan.FromMilliseconds(i));
        }

        foreach (var share in new[] { 0.1, 0.5, 0.9, 0.99 })
        {
            Assert.InRange(LatencyHistogram.Percentile(before, histogram.Counts(), share).TotalMilliseconds / (1000 * share), 0.91, 1.09);
        }
    }

    /// <summary>A wall clock that somebody sets, beside one that nobody can.</summary>
    private sealed class SettableClock(TimeProvider time) : TimeProvider
    {
        public TimeSpan SetBackBy { get; set; }

        public override long TimestampFrequency => time.TimestampFrequency;

        public override DateTimeOffset GetUtcNow() => time.GetUtcNow() - SetBackBy;

        public override long GetTimestamp() => time.GetTimestamp();
    }
}
