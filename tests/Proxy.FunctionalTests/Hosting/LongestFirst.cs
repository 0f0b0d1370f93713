using Proxy.FunctionalTests.Backends;
using Proxy.FunctionalTests.Bench;
using Proxy.FunctionalTests.Cache;
using Proxy.FunctionalTests.Chaos;
using Proxy.FunctionalTests.Packaging;
using Proxy.FunctionalTests.WebConsole;
using Xunit.Sdk;
using Xunit.v3;

[assembly: TestCollectionOrderer(typeof(Proxy.FunctionalTests.Hosting.LongestFirst))]

namespace Proxy.FunctionalTests.Hosting;

/// <summary>Collections that take a minute and more begin first: one that came last would run on alone, with nothing left for the other processors.</summary>
/// <remarks>
/// xunit makes a task of each collection in this order, on a thread of the pool: that thread takes its own tasks from the end, the others steal them from the beginning, and
/// what lies in the middle comes last. So the long ones lie at both ends, the longest outermost.
/// </remarks>
public sealed class LongestFirst : ITestCollectionOrderer
{
    // xunit names the collection of a class after it.
    private static readonly string[] Long =
    [
        TestServers.Collection, ClassOf<DockerfileTests>(), ConsoleFixture.Collection, ClassOf<MilvusCommandTests>(), ClassOf<ReloadTests>(), ClassOf<SeveralBackendsTests>(),
        ClassOf<BenchCommandTests>(), ClassOf<CachePromisesTests>(), ClassOf<ForwardedChangesTests>(), ClassOf<MemoryCeilingTests>(),
        ClassOf<ThrottledLoadTests>(),
    ];

    public IReadOnlyCollection<TTestCollection> OrderTestCollections<TTestCollection>(IReadOnlyCollection<TTestCollection> testCollections)
        where TTestCollection : ITestCollection
        => [.. testCollections.OrderBy(static collection => Place(collection.TestCollectionDisplayName))];

    private static int Place(string name)
    {
        var at = Array.FindIndex(Long, part => name == part || name.StartsWith($"{part} (", StringComparison.Ordinal));
        return at < 0 ? 0 : at % 2 == 0 ? at - Long.Length : Long.Length - at;
    }

    private static string ClassOf<T>() => $"Test collection for {typeof(T).FullName}";
}
