namespace Proxy.UnitTests.Tiers;

/// <summary>One block that is wanted, or written by an upload.</summary>
internal readonly record struct BlockAccess(int Block, bool IsWrite);

/// <summary>Seeded sequences of block numbers for the replays of hit ratios: the same on every machine.</summary>
internal static class BlockTraces
{
    public static int[] Zipf(int reads, int population, double skew)
    {
        var draw = Sampler(population, skew, new Random(1));
        var trace = new int[reads];
        for (var i = 0; i < reads; i++)
        {
            trace[i] = draw();
        }

        return trace;
    }

    /// <summary>Every fifth of the reads other blocks are the popular ones.</summary>
    public static int[] ZipfThatMoves(int reads, int population, double skew)
    {
        var trace = Zipf(reads, population, skew);
        var random = new Random(4);
        var names = Enumerable.Range(0, population).ToArray();
        for (var i = 0; i < reads; i++)
        {
            if (i % (reads / 5) == 0)
            {
                random.Shuffle(names);
            }

            trace[i] = names[trace[i]];
        }

        return trace;
    }

    /// <summary>Every 20,000 reads a scan of 5,000 blocks that nobody asks for again.</summary>
    public static int[] ZipfWithScans(int reads, int population)
    {
        var draw = Sampler(population, 0.9, new Random(2));
        var trace = new int[reads];
        var cold = population;
        for (var i = 0; i < reads; i++)
        {
            trace[i] = i % 20_000 < 5000 ? cold++ : draw();
        }

        return trace;
    }

    /// <summary>
    /// Collections of 10 to 500 blocks in segments of at most 32, popular by Zipf 0.9. A load reads a collection from end to end; a reload after a node is
    /// lost reads some of its segments; a compaction reads four segments and writes one that takes their place, captured as it is written.
    /// </summary>
    public static BlockAccess[] Milvus(int accesses, int collections)
    {
        const int SegmentBlocks = 32;
        var random = new Random(3);
        var draw = Sampler(collections, 0.9, random);
        var next = 0;
        var all = Enumerable.Range(0, collections).Select(_ =>
        {
            var segments = new List<int[]>();
            for (var blocks = (int)(10 * Math.Pow(50, random.NextDouble())); blocks > 0; blocks -= SegmentBlocks)
            {
                segments.Add(Enumerable.Range(next, Math.Min(SegmentBlocks, blocks)).ToArray());
                next += SegmentBlocks;
            }

            return segments;
        }).ToArray();
        var trace = new List<BlockAccess>(accesses);
        void Read(IEnumerable<int[]> segments) => trace.AddRange(segments.SelectMany(segment => segment).Select(block => new BlockAccess(block, IsWrite: false)));
        while (trace.Count < accesses)
        {
            var segments = all[draw()];
            switch (random.Next(10))
            {
                case < 5:
                    Read(segments);
                    break;
                case < 8:
                    Read(segments.Where(_ => random.Next(3) == 0));
                    break;
                default:
                    var compacted = segments.Take(4).ToArray();
                    Read(compacted);
                    segments.RemoveRange(0, compacted.Length);
                    foreach (var old in compacted)
                    {
                        segments.Add(Enumerable.Range(next, old.Length).ToArray());
                        trace.AddRange(segments[^1].Select(block => new BlockAccess(block, IsWrite: true)));
                        next += SegmentBlocks;
                    }

                    break;
            }
        }

        return [.. trace.Take(accesses)];
    }

    /// <summary>Draws by Zipf's law: 0 is the most popular of <paramref name="count"/>.</summary>
    public static Func<int> Sampler(int count, double skew, Random random)
    {
        var cumulated = new double[count];
        double sum = 0;
        for (var i = 0; i < count; i++)
        {
            cumulated[i] = sum += Math.Pow(i + 1, -skew);
        }

        return () =>
        {
            var at = Array.BinarySearch(cumulated, random.NextDouble() * sum);
            return Math.Min(count - 1, at < 0 ? ~at : at);
        };
    }
}
