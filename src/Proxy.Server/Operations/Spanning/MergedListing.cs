using System.Text;
using Proxy.S3.Errors;
using Proxy.S3.Objects;
using Proxy.S3.Requests;
using Proxy.Server.Operations.Buckets;
using Proxy.Server.Requests;
using Proxy.Server.Routing;

namespace Proxy.Server.Operations.Spanning;

/// <summary>ListObjects over a prefix whose keys live in several backends: one listing, in byte order, of what each key's own backend says.</summary>
/// <remarks>
/// 1. Every view that may hold keys of the prefix lists it, a page at a time.
/// 2. What a view names but another one is routed to have is left out: a read would not find it either.
/// 3. A common prefix that a route divides says nothing by itself: it is there when some key of it is, which is asked.
/// 4. The names left are merged until the page is full; any further one makes it truncated.
/// Listings that cannot be merged so (uploads, versions) are refused over such a prefix: a part would pass for the whole.
/// </remarks>
internal sealed class MergedListing(BackendRouter router) : ISpanningOperation
{
    /// <summary>Sorts behind every key that goes on from what it is put after.</summary>
    private const string Last = "\U0010FFFF";

    public async ValueTask<bool> TryAnswerAsync(S3Request request)
    {
        var model = router.Model;
        var target = request.Target;
        var isVersions = request.Operation == S3Operation.Other && request.Method == "GET" && target.Query.Contains("versions");
        if (!model.HasPrefixRoutes || !target.HasBucket || target.HasKey || (request.Operation == S3Operation.Other && !isVersions))
        {
            return false;
        }

        var views = model.Under(target.Bucket, target.Query.Get("prefix") ?? "");
        if (views.Count == 1)
        {
            request.Backend = views[0];
            return false;
        }

        if (request.Operation is not (S3Operation.ListObjects or S3Operation.ListObjectsV2))
        {
            throw new S3Exception(S3ErrorCode.NotImplemented, request.Resource, "The keys of this prefix lie in several backends: list within one route's prefix.");
        }

        await ListObjects.AnswerAsync(request, query => ListAsync(model, target.Bucket, query, request.Aborted));
        return true;
    }

    private static async ValueTask<ListPage> ListAsync(RoutingModel model, string bucket, ListQuery query, CancellationToken cancellation)
    {
        // (3)
        var divided = new SortedDictionary<byte[], string>(Comparer<byte[]>.Create(static (a, b) => a.AsSpan().SequenceCompareTo(b)));
        foreach (var division in query.Delimiter is null ? [] : model.Divisions(bucket, query.Prefix))
        {
            var at = division.IndexOf(query.Delimiter!, query.Prefix.Length, StringComparison.Ordinal);
            if (at >= 0 && at + query.Delimiter!.Length < division.Length)
            {
                var folded = division[..(at + query.Delimiter.Length)];
                divided[Encoding.UTF8.GetBytes(folded)] = folded;
            }
        }

        var after = query.After is null ? null : Encoding.UTF8.GetBytes(query.After);
        bool IsNew(byte[] name) => after is null || name.AsSpan().SequenceCompareTo(after) > 0;
        var cursors = new List<IAsyncEnumerator<Entry>>();
        try
        {
            cursors.AddRange(model.Under(bucket, query.Prefix).Select(view => ViewAsync(view).GetAsyncEnumerator(cancellation)));
            cursors.Add(DividedAsync().GetAsyncEnumerator(cancellation));
            return await MergeAsync(cursors, query.MaxKeys);
        }
        finally
        {
            foreach (var cursor in cursors)
            {
                await cursor.DisposeAsync();
            }
        }

        async IAsyncEnumerable<Entry> ViewAsync(Backend view)
        {
            // (1)
            var home = model.Resolve(bucket, "") == view;
            for (string? from = query.After; ;)
            {
                var page = await PageAsync(view, query with { After = from, MaxKeys = Math.Max(query.MaxKeys, 2) }, mayBeMissing: !home);
                Entry[] entries = [.. page.Objects.Select(one => new Entry(one.Key, Encoding.UTF8.GetBytes(one.Key), one)), .. page.CommonPrefixes.Select(name => new Entry(name, Encoding.UTF8.GetBytes(name), null))];
                Array.Sort(entries, static (a, b) => a.Sort.AsSpan().SequenceCompareTo(b.Sort));
                foreach (var entry in entries)
                {
                    // (2)
                    if (IsNew(entry.Sort) && !(entry.Object is null && divided.ContainsKey(entry.Sort)) && model.Resolve(bucket, entry.Name) == view)
                    {
                        yield return entry;
                    }
                }

                if (!page.IsTruncated)
                {
                    yield break;
                }

                // Keys that stayed behind when their prefix was routed away can be many: stepped over.
                from = page.NextAfter ?? throw new S3Exception(S3ErrorCode.InternalError, $"/{bucket}", "A backend's listing breaks off without saying where.");
                if (model.Resolve(bucket, from) != view && model.WholePrefix(bucket, from) is { } foreign && foreign.Length > query.Prefix.Length
                    && !from.AsSpan(foreign.Length).StartsWith(Last, StringComparison.Ordinal))
                {
                    from = foreign + Last;
                }
            }
        }

        async IAsyncEnumerable<Entry> DividedAsync()
        {
            foreach (var (sort, name) in divided)
            {
                if (IsNew(sort) && (await ListAsync(model, bucket, new ListQuery { Prefix = name, MaxKeys = 1 }, cancellation)).Objects.Count > 0)
                {
                    yield return new Entry(name, sort, null);
                }
            }
        }

        async ValueTask<ListPage> PageAsync(Backend view, ListQuery page, bool mayBeMissing)
        {
            try
            {
                return await view.Source.ListObjectsAsync(bucket, page, cancellation);
            }
            catch (S3Exception e) when (mayBeMissing && e.Code == S3ErrorCode.NoSuchBucket)
            {
                return new ListPage { Objects = [] }; // nothing was ever written there
            }
        }
    }

    private static async ValueTask<ListPage> MergeAsync(List<IAsyncEnumerator<Entry>> cursors, int max)
    {
        // (4)
        var ahead = new PriorityQueue<IAsyncEnumerator<Entry>, byte[]>(Comparer<byte[]>.Create(static (a, b) => a.AsSpan().SequenceCompareTo(b)));
        foreach (var cursor in max == 0 ? [] : cursors)
        {
            await AdvanceAsync(cursor);
        }

        var objects = new List<ListedObject>();
        var prefixes = new List<string>();
        string? last = null;
        while (ahead.Count > 0 && objects.Count + prefixes.Count < max)
        {
            var cursor = ahead.Dequeue();
            last = cursor.Current.Name;
            if (cursor.Current.Object is { } one)
            {
                objects.Add(one);
            }
            else
            {
                prefixes.Add(last);
            }

            await AdvanceAsync(cursor);
        }

        return new ListPage { Objects = objects, CommonPrefixes = prefixes, IsTruncated = ahead.Count > 0, NextAfter = ahead.Count > 0 ? last : null };

        async ValueTask AdvanceAsync(IAsyncEnumerator<Entry> cursor)
        {
            if (await cursor.MoveNextAsync())
            {
                ahead.Enqueue(cursor, cursor.Current.Sort);
            }
        }
    }

    /// <param name="Sort">The name's UTF-8.</param>
    /// <param name="Object">Null for a common prefix.</param>
    private sealed record Entry(string Name, byte[] Sort, ListedObject? Object);
}
