namespace Proxy.FunctionalTests.Hosting;

/// <summary>The collection of tests whose promise holds for a disk that keeps up, or that count what the whole process has: they run one at a time, with none of the others beside them.</summary>
[CollectionDefinition(Collection, DisableParallelization = true)]
public sealed class Alone
{
    public const string Collection = "alone";
}
