using Microsoft.Extensions.Logging;
using Proxy.S3.Objects;

namespace Proxy.Cache.Policy;

/// <summary>Tells the operator, once, that Milvus seems to keep its data under a root path that nobody named.</summary>
/// <remarks>Everything works then, but nothing is known to be immutable: a warm read asks the backend once a second, and an outage of the backend is one of the reads. Thread-safe.</remarks>
internal sealed partial class UnnamedRoot(ClassRules rules, ILogger logger)
{
    /// <summary>Where milvus-backup keeps its copies, under a root of its own: no node serves them.</summary>
    private const string OfBackups = "/binlogs/";

    private int _isTold;

    /// <summary>Looks at a key that the backend is about to be asked about.</summary>
    public void Look(ObjectId id, in KeyPolicy policy)
    {
        if (policy.Kind == MilvusKind.Other && Volatile.Read(ref _isTold) == 0 && !id.Key.Contains(OfBackups, StringComparison.Ordinal) && rules.FindUnnamedRoot(id.Key) is { } root && Interlocked.Exchange(ref _isTold, 1) == 0)
        {
            LogRoot(id.Bucket, id.Key, root);
        }
    }

    [LoggerMessage(3501, LogLevel.Warning, "{Bucket}/{Key} looks like a key of Milvus with minio.rootPath \"{Root}\", which is not among Cache:Milvus:RootPaths: its immutable objects are asked about "
        + "again once a second until it is (further such keys are not logged)")]
    private partial void LogRoot(string bucket, string key, string root);
}
