using System.Diagnostics;
using System.Globalization;
using Proxy.Cache.Tiers;

namespace Proxy.UnitTests.Tiers;

public sealed class NvmeRestartTests
{
    public static TheoryData<NvmeEngine> Engines => [NvmeEngine.Faster, NvmeEngine.Plain];

    [Theory]
    [MemberData(nameof(Engines))]
    public async Task Reopen_AfterCleanStop_HasEverything(NvmeEngine engine)
    {
        using var directory = new TestDirectory();
        for (var run = 0; run < 3; run++)
        {
            await using var store = await NvmeHarness.OpenAsync(directory.Path, engine);
            await store.UntilAsync(() => store.Now.State == NvmeState.Healthy);
            Assert.Equal(100 * run, await store.CountAsync(0, 100 * run));
            for (var number = 100 * run; number < 100 * (run + 1); number++)
            {
                await store.PutAsync(number);
            }
        }
    }

    [Fact]
    public async Task Reopen_WithTheOtherEngine_HasEverything()
    {
        using var directory = new TestDirectory();
        for (var run = 0; run < 3; run++)
        {
            await using var store = await NvmeHarness.OpenAsync(directory.Path, run % 2 == 0 ? NvmeEngine.Faster : NvmeEngine.Plain);
            await store.UntilAsync(() => store.Now.State == NvmeState.Healthy);
            Assert.Equal(50 * run, await store.CountAsync(0, 50 * run));
            for (var number = 50 * run; number < 50 * (run + 1); number++)
            {
                await store.PutAsync(number);
            }
        }
    }

    [Theory]
    [MemberData(nameof(Engines))]
    public async Task Reopen_RingFull_KeepsNinetyNinePercentOfWhatIsLeft(NvmeEngine engine)
    {
        using var directory = new TestDirectory();
        var there = new HashSet<int>();
        await using (var store = await NvmeHarness.OpenAsync(directory.Path, engine, 256 << 20))
        {
            for (var number = 0; number < 3000; number++)
            {
                await store.PutAsync(number);
            }

            await store.FlushedAsync();
            for (var number = 0; number < 3000; number++)
            {
                if (store.Device.Contains(TestBlocks.Id(number)))
                {
                    there.Add(number);
                }
            }

            Assert.InRange(there.Count, 1000, 2900);
        }

        await using var again = await NvmeHarness.OpenAsync(directory.Path, engine, 256 << 20);
        await again.UntilAsync(() => again.Now.State == NvmeState.Healthy);
        var found = there.Count(number => again.Device.Contains(TestBlocks.Id(number)));
        TestContext.Current.SendDiagnosticMessage("clean restart {0}: {1} of {2}", engine, found, there.Count);
        Assert.True(found >= 0.97 * there.Count, $"{found} of {there.Count}");
        Assert.Equal(found, await again.CountAsync(0, 3000));
    }

    [Theory]
    [InlineData(128 << 20)]
    [InlineData(32 << 20)]
    public async Task Reopen_CapacityChanged_StartsColdAndWorks(long capacity)
    {
        using var directory = new TestDirectory();
        await using (var store = await NvmeHarness.OpenAsync(directory.Path, NvmeEngine.Faster))
        {
            await store.PutAsync(1);
        }

        await using var changed = await NvmeHarness.OpenAsync(directory.Path, NvmeEngine.Faster, capacity);
        Assert.False(await changed.HasAsync(1));
        await changed.TakesBlocksAsync(2);
        Assert.True(new FileInfo(directory.File("data")).Length <= capacity);
    }

    [Fact]
    public async Task Open_DirectoryInUse_StepsAsideUntilItIsFree()
    {
        using var directory = new TestDirectory();
        var first = await NvmeHarness.OpenAsync(directory.Path, NvmeEngine.Faster);
        await using var second = await NvmeHarness.OpenAsync(directory.Path, NvmeEngine.Faster);
        Assert.Equal(NvmeState.Suspended, second.Now.State);
        Assert.Contains("in use", second.Now.Reason, StringComparison.Ordinal);
        Assert.False(await second.HasAsync(1));
        await first.DisposeAsync();
        await second.UntilAsync(() => second.Now.State == NvmeState.Healthy);
        await second.PutAsync(1);
        Assert.True(await second.HasAsync(1));
    }

    /// <summary>Rounds of: a child process writes until it is killed, then its directory is opened and every byte checked.</summary>
    [Theory]
    [MemberData(nameof(Engines))]
    public async Task Kill_WhileWriting_LosesOnlyTheNewestAndNeverServesAWrongByte(NvmeEngine engine)
    {
        using var directory = new TestDirectory();
        var rounds = int.TryParse(Environment.GetEnvironmentVariable("PROXY_KILL_ROUNDS"), out var asked) ? asked : 1;
        long from = 0;
        for (var round = 0; round < rounds; round++)
        {
            var written = await RunChildAsync(directory.Path, engine, from, 400, TimeSpan.FromMilliseconds(37 * round), 256 << 20);
            await using var store = await NvmeHarness.OpenAsync(directory.Path, engine, 256 << 20);
            await store.UntilAsync(() => store.Now.State == NvmeState.Healthy);

            // The child writes two hundred blocks a second at most; what is older than a second and a half must be there.
            var old = written - 300;
            var found = await store.CountAsync(old - 100, old);
            TestContext.Current.SendDiagnosticMessage("kill {0} round {1}: wrote {2}, {3} blocks back, {4} of 100 older ones", engine, round, written - from, store.Now.BlocksRecovered, found);
            Assert.True(found >= 99, $"{found} of 100 found, {store.Now}");
            await store.CountAsync(Math.Max(0, written - 350), written + 10);
            from = written + 1000;
        }
    }

    /// <summary>What the killed process runs; started by the test above with its directory in the environment.</summary>
    [Fact(Explicit = true)]
    public async Task KillChild()
    {
        var directory = Environment.GetEnvironmentVariable("PROXY_KILL_DIRECTORY");
        Assert.NotNull(directory);
        var engine = Enum.Parse<NvmeEngine>(Environment.GetEnvironmentVariable("PROXY_KILL_ENGINE")!);
        var number = long.Parse(Environment.GetEnvironmentVariable("PROXY_KILL_FROM")!, CultureInfo.InvariantCulture);
        await using var store = await NvmeHarness.OpenAsync(directory, engine, long.Parse(Environment.GetEnvironmentVariable("PROXY_KILL_CAPACITY")!, CultureInfo.InvariantCulture));
        var progress = Path.Combine(directory, "written");
        while (true)
        {
            await store.PutAsync(number++);
            if (number % 10 == 0)
            {
                await File.WriteAllTextAsync(progress + ".new", number.ToString(CultureInfo.InvariantCulture));
                File.Move(progress + ".new", progress, overwrite: true);
                await Task.Delay(50);
            }
        }
    }

    /// <summary>Has a child write until it has written at least so many blocks, and kills it.</summary>
    /// <returns>The first number that it may not have written.</returns>
    internal static async Task<long> RunChildAsync(string directory, NvmeEngine engine, long from, int blocks, TimeSpan extra, long capacity)
    {
        var start = new ProcessStartInfo(Environment.ProcessPath!) { UseShellExecute = false, RedirectStandardOutput = true, RedirectStandardError = true };
        if (Path.GetFileNameWithoutExtension(Environment.ProcessPath!) == "dotnet")
        {
            start.ArgumentList.Add(typeof(NvmeRestartTests).Assembly.Location);
        }

        foreach (var argument in (ReadOnlySpan<string>)["-method", $"{typeof(NvmeRestartTests).FullName}.{nameof(KillChild)}", "-explicit", "only"])
        {
            start.ArgumentList.Add(argument);
        }

        start.Environment["PROXY_KILL_DIRECTORY"] = directory;
        start.Environment["PROXY_KILL_ENGINE"] = engine.ToString();
        start.Environment["PROXY_KILL_FROM"] = from.ToString(CultureInfo.InvariantCulture);
        start.Environment["PROXY_KILL_CAPACITY"] = capacity.ToString(CultureInfo.InvariantCulture);
        var progress = Path.Combine(directory, "written");
        File.Delete(progress);
        using var child = Process.Start(start)!;
        var output = child.StandardOutput.ReadToEndAsync();
        for (var waited = 0; !File.Exists(progress) || await WrittenAsync(progress) < from + blocks; waited++)
        {
            Assert.True(waited < 3000, "The child does not get on.");
            Assert.False(child.HasExited, child.HasExited ? await output : "");
            await Task.Delay(20);
        }

        await Task.Delay(extra);
        Assert.False(child.HasExited, child.HasExited ? await output : "");
        child.Kill();
        await child.WaitForExitAsync();
        return await WrittenAsync(progress);
    }

    private static async Task<long> WrittenAsync(string progress) => long.Parse(await File.ReadAllTextAsync(progress), CultureInfo.InvariantCulture);
}
