using System.Runtime.CompilerServices;
using Proxy.Cache;
using Proxy.Cache.Admin;
using Proxy.S3.Objects;
using Proxy.Server.Routing;

namespace Proxy.Server.Admin;

/// <summary>Lists what a selection means in the backend, where it is truth; Milvus names are looked for in the folders that can hold them.</summary>
/// <remarks>Thread-safe. A listing is asked of the backend its prefix is routed to; keys that a deeper route sends elsewhere are not in it.</remarks>
internal sealed class KeyLister(ObjectCache cache, BackendRouter router, IReadOnlyList<string> milvusRoots)
{
    private static readonly string[] CollectionFolders = ["insert_log", "stats_log", "bm25_stats", "delta_log"];

    public async IAsyncEnumerable<ListedObject> ListAsync(KeySelection selection, [EnumeratorCancellation] CancellationToken cancellation)
    {
        var partitions = await PartitionsAsync(selection, cancellation);
        foreach (var prefix in Prefixes(selection))
        {
            await foreach (var found in ListPrefixAsync(selection.Bucket, prefix, cancellation))
            {
                if (selection.Matches(selection.Bucket, found.Key, cache.Admin.TryParseMilvus(found.Key, out var milvus) ? milvus : null, partitions))
                {
                    yield return found;
                }
            }
        }
    }

    /// <summary>Partitions of the selection's collection, as the backend's folders and the cache's catalog know them.</summary>
    public async ValueTask<IReadOnlySet<long>> PartitionsAsync(KeySelection selection, CancellationToken cancellation)
    {
        var partitions = new HashSet<long>();
        if (selection.Collection == 0)
        {
            return partitions;
        }

        partitions.UnionWith(cache.Admin.PartitionsOf(selection.Bucket, selection.Collection));
        foreach (var root in Roots())
        {
            var folder = $"{root}insert_log/{selection.Collection}/";
            var source = SourceOf(selection.Bucket, folder);
            for (string? after = null; ;)
            {
                var page = await source.ListObjectsAsync(selection.Bucket, new ListQuery { Prefix = folder, Delimiter = "/", After = after }, cancellation);
                partitions.UnionWith(page.CommonPrefixes.Select(p => long.TryParse(p.AsSpan(folder.Length).TrimEnd('/'), out var id) ? id : 0).Where(id => id != 0));
                if ((after = page.NextAfter) is null)
                {
                    break;
                }
            }
        }

        return partitions;
    }

    private IEnumerable<string> Roots() => milvusRoots.Where(root => root != "*").Select(root => root.Trim('/')).Select(root => root.Length == 0 ? "" : root + "/");

    /// <summary>Disjoint prefixes that together hold everything selected, and as little else as the key layout allows.</summary>
    private IEnumerable<string> Prefixes(KeySelection selection)
    {
        if (selection.Key is not null || !selection.IsMilvus || selection.Prefix.Length > 0 || milvusRoots.Contains("*"))
        {
            yield return selection.Key ?? selection.Prefix;
            yield break;
        }

        foreach (var root in Roots())
        {
            // A build owns no logs; logs name no build.
            if (selection.Build == 0)
            {
                foreach (var folder in CollectionFolders)
                {
                    yield return root + folder + Path(selection.Collection, selection.Partition, selection.Segment);
                }
            }

            // Indexes are filed by build: without one, all of them are looked through.
            yield return $"{root}index_files{Path(selection.Build)}";
            yield return $"{root}text_log{Path(selection.Build)}";
            yield return $"{root}json_stats/";
        }

        static string Path(params ReadOnlySpan<long> ids)
        {
            var path = "/";
            foreach (var id in ids)
            {
                if (id == 0)
                {
                    break;
                }

                path += $"{id}/";
            }

            return path;
        }
    }

    private async IAsyncEnumerable<ListedObject> ListPrefixAsync(string bucket, string prefix, [EnumeratorCancellation] CancellationToken cancellation)
    {
        var source = SourceOf(bucket, prefix);
        for (string? after = null; ;)
        {
            var page = await source.ListObjectsAsync(bucket, new ListQuery { Prefix = prefix, After = after }, cancellation);
            foreach (var found in page.Objects)
            {
                yield return found;
            }

            if ((after = page.NextAfter) is null)
            {
                break;
            }
        }
    }

    private IObjectSource SourceOf(string bucket, string prefix) => router.Resolve(bucket, prefix).Source;
}
