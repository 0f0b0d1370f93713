using System.Buffers;
using Proxy.Bench.Http;
using Proxy.Bench.Workloads;

namespace Proxy.Bench.Milvus;

/// <summary>W1: Woodpecker's logs on object storage.</summary>
/// <remarks>
/// Some logs are written to, every one has a reader that polls. Then the written ones are finalised and compacted: footer, blocks read eight at a time and put together,
/// footer again, the old blocks deleted one by one. Whatever was acknowledged must be seen by the very next poll, and whatever was deleted must not.
/// </remarks>
internal static class WalWorkload
{
    private const int MergedBytes = 2 << 20;
    private const int MostPutsOfALog = 32;

    // Logs are new in every run and for every endpoint: what answers may still hold another's blocks.
    private static long _nextLog = TimeProvider.System.GetUtcNow().ToUnixTimeSeconds() * 100;

    public static async Task RunAsync(MilvusContext context, CancellationToken cancellation)
    {
        await context.EnsureBucketAsync(cancellation);
        var logs = Enumerable.Range(0, context.Scale.WalLogs).Select(_ => new Log(context)).ToList();
        var active = logs.Take(context.Scale.ActiveLogs).ToList();
        context.Wrote(active.SelectMany(log => log.Everything));

        using var over = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        var idle = Task.WhenAll(logs.Skip(active.Count).Select(log => PollIdleAsync(context, log.Blocks[0], over.Token)));
        try
        {
            var written = await context.MeasureAsync("wal", () => AllOrNoneAsync(active.SelectMany(log => (Func<CancellationToken, Task>[])[log.WriteAsync, log.ReadAsync]), cancellation));
            var merged = await context.MeasureAsync("wal compaction", () => Task.WhenAll(active.Select(log => log.CompactAsync(cancellation))));
            context.Figures["wal ops/s"] = written.Requests / written.Seconds;
            context.Figures["wal compaction ops/s"] = merged.Requests / merged.Seconds;
        }
        finally
        {
            await over.CancelAsync();
            await idle;
        }
    }

    /// <summary>The first that fails ends the others: a reader polls for ever for a block whose writer is gone.</summary>
    private static async Task AllOrNoneAsync(IEnumerable<Func<CancellationToken, Task>> works, CancellationToken cancellation)
    {
        using var failed = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        await Task.WhenAll(works.Select(async work =>
        {
            try
            {
                await work(failed.Token);
            }
            catch
            {
                await failed.CancelAsync();
                throw;
            }
        }));
    }

    /// <summary>Nobody writes to this log, so its first block never comes.</summary>
    private static async Task PollIdleAsync(MilvusContext context, DatasetObject block, CancellationToken over)
    {
        using var clock = new PeriodicTimer(context.Scale.WalPace);
        try
        {
            do
            {
                var head = await context.Clients.SendAsync(new S3Request("HEAD poll idle", "HEAD", block.Key), over);
                context.Report.Check(head.Status == 404, () => $"HEAD {block.Key}, which nobody wrote: status {head.Status}");
            }
            while (await clock.WaitForNextTickAsync(over));
        }
        catch (OperationCanceledException)
        {
            // The other logs are done.
        }
    }

    /// <summary>One log, its writer and its reader.</summary>
    private sealed class Log
    {
        private const int Acknowledged = 1;
        private const int Failed = 2;

        private readonly MilvusContext _context;
        private readonly IReadOnlyList<IReadOnlyList<DatasetObject>> _groups;
        private readonly IReadOnlyList<DatasetObject> _merged;
        private readonly DatasetObject _footer;

        /// <summary>By block: 0 while its PUT is under way, then whether it was acknowledged.</summary>
        private readonly int[] _puts;

        public Log(MilvusContext context)
        {
            var (scale, folder) = (context.Scale, $"wp/{Interlocked.Increment(ref _nextLog)}/0");
            _context = context;
            Blocks = [.. Enumerable.Range(0, scale.WalBlocks).Select(number => context.Object($"{folder}/{number}.blk", scale.WalBlockBytes, ObjectKind.DeltaLog))];
            _groups = [.. Blocks.Chunk(Math.Max(1, MergedBytes / scale.WalBlockBytes))];
            _merged = [.. _groups.Select((group, number) => context.Object($"{folder}/m_{number}.blk", group.Sum(block => block.Size), ObjectKind.DeltaLog))];
            _footer = context.Object($"{folder}/footer.blk", 4 << 10, ObjectKind.DeltaLog);
            _puts = new int[Blocks.Count];
        }

        public IReadOnlyList<DatasetObject> Blocks { get; }

        public IEnumerable<DatasetObject> Everything => [.. Blocks, .. _merged, _footer];

        /// <summary>Puts a block at every tick, whether the one before was acknowledged or not.</summary>
        public async Task WriteAsync(CancellationToken cancellation)
        {
            using var clock = new PeriodicTimer(_context.Scale.WalPace);
            using var free = new SemaphoreSlim(MostPutsOfALog);
            var puts = new List<Task>();
            for (var number = 0; number < Blocks.Count; number++)
            {
                await free.WaitAsync(cancellation);
                puts.Add(PutBlockAsync(number, free, cancellation));
                await clock.WaitForNextTickAsync(cancellation);
            }

            await Task.WhenAll(puts);
        }

        /// <summary>Polls for the next block, and reads it when it is there.</summary>
        public async Task ReadAsync(CancellationToken cancellation)
        {
            using var clock = new PeriodicTimer(_context.Scale.WalPace);
            for (var next = 0; next < Blocks.Count;)
            {
                var block = Blocks[next];
                var put = Volatile.Read(ref _puts[next]);    // read before the HEAD leaves
                if (put == Failed)
                {
                    // Told where it was put; nobody need wait for it.
                    next++;
                    continue;
                }

                var isDue = put == Acknowledged;
                var head = await _context.Clients.SendAsync(new S3Request("HEAD poll", "HEAD", block.Key), cancellation);
                _context.Report.Check(head.Status == 200 || (head.Status == 404 && !isDue), () => $"HEAD {block.Key}: status {head.Status}, though its PUT was acknowledged: {isDue}");
                if (head.Status == 200)
                {
                    await _context.RangeAsync(block, 0, block.Size, cancellation, "GET block");
                    next++;
                    continue;
                }

                // What is due and not there is told once, and not waited for: it need not come at all.
                next += isDue ? 1 : 0;
                await clock.WaitForNextTickAsync(cancellation);
            }
        }

        public async Task CompactAsync(CancellationToken cancellation)
        {
            // 1. Finalised: the footer is written once, under a condition.
            await PutAsync(_footer, [_footer], true, 200, cancellation);
            await _context.GetAsync(_footer, cancellation);

            // 2. Compacted: the blocks are read, and written together.
            await MilvusContext.ForEachAsync(Blocks, 8, (block, token) => _context.RangeAsync(block, 0, block.Size, token, "GET block"), cancellation);
            await MilvusContext.ForEachAsync(
                [.. Enumerable.Range(0, _merged.Count)], 4, (number, token) => PutAsync(_merged[number], _groups[number], false, 200, token), cancellation);

            // 3. The footer names the new ones. A reader that gets the old one would look for blocks that are gone.
            var rewritten = _footer with { Content = new Content(8, _footer.Key) };
            await PutAsync(rewritten, [rewritten], false, 200, cancellation);
            await _context.GetAsync(rewritten, cancellation);

            // 4. Cleaned: a reader of the old ones must be told that they are gone.
            await MilvusContext.ForEachAsync(Blocks, 8, DeleteAsync, cancellation);
            await MilvusContext.ForEachAsync([.. Enumerable.Range(0, _merged.Count)], 4, ReadMergedAsync, cancellation);
        }

        private async Task PutBlockAsync(int number, SemaphoreSlim free, CancellationToken cancellation)
        {
            var block = Blocks[number];
            try
            {
                var isPut = await PutAsync(block, [block], true, 200, cancellation);
                Volatile.Write(ref _puts[number], isPut ? Acknowledged : Failed);
                if (isPut && number % 5 == 0)
                {
                    // A second writer that lost its lease: it must be told.
                    await PutAsync(block, [block with { Content = new Content(9, "other") }], true, 412, cancellation);
                }
            }
            finally
            {
                free.Release();
            }
        }

        private async Task DeleteAsync(DatasetObject block, CancellationToken cancellation)
        {
            await _context.DeleteAsync(block, cancellation);
            var head = await _context.Clients.SendAsync(new S3Request("HEAD gone", "HEAD", block.Key), cancellation);
            _context.Report.Check(head.Status == 404, () => $"HEAD {block.Key} after its DELETE: status {head.Status}");
        }

        /// <param name="parts">Whose bytes it has, one after another.</param>
        /// <returns>Whether it was answered as it was to be.</returns>
        private async Task<bool> PutAsync(DatasetObject item, IReadOnlyList<DatasetObject> parts, bool isConditional, int status, CancellationToken cancellation)
        {
            var body = ArrayPool<byte>.Shared.Rent((int)item.Size);
            try
            {
                var filled = 0;
                foreach (var part in parts)
                {
                    part.Content.Fill(body.AsSpan(filled, (int)part.Size), 0);
                    filled += (int)part.Size;
                }

                var operation = status == 412 ? "PUT taken" : isConditional ? "PUT if-none-match" : "PUT";
                var request = new S3Request(operation, "PUT", item.Key) { Body = body.AsMemory(0, filled), IfNoneMatch = isConditional, Signing = PayloadSigning.Streaming };
                var answer = await _context.Clients.SendAsync(request, cancellation);
                _context.Report.AddBytes(operation, filled);
                return _context.Report.Check(answer.Status == status, () => $"{operation} {item.Key}: status {answer.Status}, {status} was due");
            }
            finally
            {
                ArrayPool<byte>.Shared.Return(body);
            }
        }

        private async Task ReadMergedAsync(int number, CancellationToken cancellation)
        {
            var (item, read) = (_merged[number], 0);
            var body = ArrayPool<byte>.Shared.Rent((int)item.Size + 1);
            try
            {
                var head = await _context.Clients.UseAsync(client => client.SendAsync(new S3Request("GET merged", "GET", item.Key), ReadBodyAsync, cancellation), cancellation);
                _context.Report.Check(head.Status == 200 && read == item.Size && IsJoined(body, _groups[number]), () => $"GET {item.Key}: status {head.Status}, {read} bytes, or not those of its blocks");
                _context.Report.AddBytes("GET merged", read);
            }
            finally
            {
                ArrayPool<byte>.Shared.Return(body);
            }

            async ValueTask ReadBodyAsync(ResponseHead head, S3Connection connection, CancellationToken token)
            {
                read = 0;
                int more;
                while (read < body.Length && (more = await connection.ReadBodyAsync(body.AsMemory(read), token)) > 0)
                {
                    read += more;
                }
            }
        }

        private static bool IsJoined(ReadOnlySpan<byte> body, IReadOnlyList<DatasetObject> blocks)
        {
            foreach (var block in blocks)
            {
                if (block.Content.FirstDifference(body[..(int)block.Size], 0) >= 0)
                {
                    return false;
                }

                body = body[(int)block.Size..];
            }

            return true;
        }
    }
}
