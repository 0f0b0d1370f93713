using System.Net;
using Proxy.FunctionalTests.Backends;
using Proxy.FunctionalTests.Faults;
using Proxy.FunctionalTests.Hosting;

namespace Proxy.FunctionalTests.Chaos;

/// <summary>The backend's name gets another address while a load runs.</summary>
/// <remarks>
/// The proxy sees an /etc/hosts of the test's own, mounted over the real one for its process alone; the system's resolver reads it as it reads DNS. Skipped where a process may
/// not have mounts of its own.
/// </remarks>
public sealed class NameChangeTests
{
    private const string Name = "backend.test";

    [Fact]
    public async Task Load_NameMovesToAnotherAddress_IsFollowedWithoutAnError()
    {
        var hosts = Path.GetTempFileName();
        var launcher = await OwnMounts.LauncherAsync($"mount --bind {hosts} /etc/hosts");
        await using var before = await FaultyBackend.StartAsync(0, "a-bucket");
        await using var after = await FaultyBackend.StartBesideAsync(before, IPAddress.Parse("127.0.0.2"));
        await File.WriteAllTextAsync(hosts, $"127.0.0.1 localhost {Name}\n");
        await using var proxy = await ProxyProcess.StartAsync(["--set", "Backend:ConnectionLifetime=00:00:01"], new Uri($"http://{Name}:{before.Port}"), launcher: launcher);
        using var s3 = new S3Caller(proxy.Endpoint);
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(30));
        var next = 0;
        await LoadAsync(until: () => before.Requests.Count > 200);
        Assert.Empty(after.Requests);

        await File.WriteAllTextAsync(hosts, $"127.0.0.1 localhost\n127.0.0.2 {Name}\n");
        var left = 0;
        var arrived = 0;
        await LoadAsync(until: () =>
        {
            // Followed: two hundred requests there in a row and none here.
            if (before.Requests.Count != left)
            {
                (left, arrived) = (before.Requests.Count, after.Requests.Count);
            }

            return after.Requests.Count > arrived + 200;
        });
        File.Delete(hosts);

        Task LoadAsync(Func<bool> until) => Task.WhenAll(Enumerable.Range(0, 4).Select(async _ =>
        {
            while (!until())
            {
                Assert.False(patience.IsCancellationRequested, $"the name was not followed: {before.Requests.Count} requests before, {after.Requests.Count} after");
                var i = Interlocked.Increment(ref next);
                var bytes = SeveralBackendsTests.MakeBytes(1000 + i);
                (await s3.PutAsync($"/a-bucket/k{i}", bytes)).Ok();
                before.Store.TryPut("a-bucket", $"cold-{i}", FaultyObject.Of(bytes)); // written through the proxy it would be cached
                Assert.Equal(bytes, (await s3.GetAsync($"/a-bucket/cold-{i}")).Ok().Body);
            }
        }));
    }

    /// <summary>Of several addresses of a name, the first keeps silent: reads and forwards go to the next, neither waits for the first to give up.</summary>
    [Fact]
    public async Task Load_FirstOfTwoAddressesKeepsSilent_SecondAnswers()
    {
        var hosts = Path.GetTempFileName();
        var launcher = await OwnMounts.LauncherAsync($"mount --bind {hosts} /etc/hosts");
        await using var before = await FaultyBackend.StartAsync(0, "a-bucket");
        await using var good = await FaultyBackend.StartBesideAsync(before, IPAddress.Parse("127.0.0.2"));
        await before.DisposeAsync();
        using var silent = new SilentListener(IPAddress.Loopback, before.Port);
        await File.WriteAllTextAsync(hosts, $"127.0.0.1 localhost {Name}\n127.0.0.2 {Name}\n");
        await using var proxy = await ProxyProcess.StartAsync(
            ["--set", "Backend:ConnectionLifetime=00:00:00.5"], new Uri($"http://{Name}:{before.Port}"), new Dictionary<string, string> { ["RESOLV_MULTI"] = "on" }, launcher);
        using var s3 = new S3Caller(proxy.Endpoint);
        for (var i = 0; i < 10; i++)
        {
            var bytes = SeveralBackendsTests.MakeBytes(1000 + i);
            (await s3.PutAsync($"/a-bucket/k{i}", bytes)).Ok();
            good.Store.TryPut("a-bucket", $"cold-{i}", FaultyObject.Of(bytes));
            Assert.Equal(bytes, (await s3.GetAsync($"/a-bucket/cold-{i}")).Ok().Body);
            await Task.Delay(100); // connections of several ages
        }

        File.Delete(hosts);
    }
}
