using System.Reflection;
using System.Runtime.CompilerServices;
using Proxy.FunctionalTests.Hosting;
using Proxy.FunctionalTests.Operations.Wire;
using Xunit.Sdk;
using Xunit.v3;

namespace Proxy.FunctionalTests.Operations;

/// <summary>What stands behind the proxy in one run of the conformance suite.</summary>
public enum Setup
{
    /// <summary>Its own local store.</summary>
    Local,

    /// <summary>Another server of ours.</summary>
    Chained,

    /// <summary>A Ceph object gateway.</summary>
    BeforeCeph,
}

/// <summary>Runs a theory on every <see cref="Setup"/>.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class EverySetupAttribute : DataAttribute
{
    public override ValueTask<IReadOnlyCollection<ITheoryDataRow>> GetData(MethodInfo testMethod, DisposalTracker disposalTracker)
        => new([.. Enum.GetValues<Setup>().Select(setup => new TheoryDataRow<Setup>(setup))]);

    public override bool SupportsDiscoveryEnumeration() => true;
}

/// <summary>A conformance test: one conversation, held on every setup in a bucket of its own.</summary>
/// <remarks>
/// What fails in front of Ceph is held against Ceph itself at once. Where it passes there, the proxy is wrong; where it fails there too, the gateway is, and the
/// test has to stand in <see cref="RgwLimits"/> with the reason.
/// </remarks>
[Collection(TestServers.Collection)]
public abstract class OperationTests(TestServers servers)
{
    private static int _buckets;

    private protected TestServers Servers { get; } = servers;

    private protected async Task RunAsync(Setup setup, Func<S3Wire, Task> conversation, [CallerMemberName] string test = "")
    {
        var endpoint = setup switch
        {
            Setup.Local => (await Servers.LocalAsync()).Endpoint,
            Setup.Chained => (await Servers.ChainedAsync()).Endpoint,
            _ => (await Servers.BeforeCephAsync()).Endpoint,
        };
        try
        {
            await HoldAsync(endpoint, conversation);
        }
        catch (Exception proxied) when (setup == Setup.BeforeCeph)
        {
            var name = $"{GetType().Name}.{test}";
            var log = (await Servers.BeforeCephAsync()).LogTail;
            try
            {
                await HoldAsync((await Servers.CephAsync()).Endpoint, conversation);
            }
            catch (Exception direct)
            {
                Assert.True(RgwLimits.All.TryGetValue(name, out var reason), $"RGW itself fails {name}, which is not in RgwLimits: {direct.Message}\n---- through the proxy: {proxied.Message}\n---- its log: {log}");
                Assert.Skip(reason!);
            }

            Assert.Fail($"{name} passes against RGW itself and fails through the proxy: {proxied}\n---- its log: {log}");
        }
    }

    /// <summary>Bytes that differ from any neighbour's.</summary>
    private protected static byte[] Bytes(int length, int seed = 1)
    {
        var bytes = new byte[length];
        new Random(seed).NextBytes(bytes);
        return bytes;
    }

    private static async Task HoldAsync(Uri endpoint, Func<S3Wire, Task> conversation)
    {
        await using var s3 = new S3Wire(endpoint, $"conformance-{Interlocked.Increment(ref _buckets)}-{Environment.ProcessId}");
        (await s3.SendAsync("PUT", "")).Expect(200);
        await conversation(s3);
    }
}
