using Proxy.Bench.Http;

namespace Proxy.Bench.Workloads;

/// <summary>Which part of Milvus writes an object; decides how it is uploaded.</summary>
internal enum ObjectKind
{
    /// <summary>Parquet of a column group: always a multipart upload with 10 MiB parts, however small (Arrow's S3 filesystem).</summary>
    InsertLog,

    /// <summary>A slice of an index file: one PUT of 16 MiB and an event header.</summary>
    IndexSlice,

    /// <summary>The list of an index's slices: one PUT of about 200 bytes.</summary>
    SliceMeta,

    /// <summary>Primary-key statistics, written by the Go side.</summary>
    StatsLog,

    /// <summary>Deletes, written by the Go side.</summary>
    DeltaLog,
}

/// <summary>One object of a dataset: everything about it but its bytes, which <see cref="Content"/> makes.</summary>
internal sealed record DatasetObject(string Key, long Size, ObjectKind Kind, Content Content)
{
    /// <summary>10 MiB, as milvus-storage configures Arrow.</summary>
    public const int PartBytes = 10 << 20;

    public bool IsMultipart => Kind == ObjectKind.InsertLog;

    public int PartCount => (int)Math.Max(1, (Size + PartBytes - 1) / PartBytes);

    /// <summary>How the client that writes this kind signs its bodies over http.</summary>
    public PayloadSigning Signing => Kind is ObjectKind.StatsLog or ObjectKind.DeltaLog ? PayloadSigning.Streaming : PayloadSigning.Sha256;
}

/// <summary>The objects of a Milvus-shaped tree, derived from its parameters alone: writer and verifier make the same list.</summary>
/// <remarks>
/// Per sealed segment, as Milvus 2.6 lays one out: half its bytes are index slices (16 MiB + 512 B each, the last one shorter)
/// with a SLICE_META, the other half column groups (one small group of scalars, one wide group of vectors), beside them the
/// primary key's statistics (one of them under the fixed name <c>1</c>) and up to three delta logs.
/// </remarks>
internal static class MilvusDataset
{
    /// <summary>Milvus's common.indexSliceSize of 16 MiB plus the event header its writer puts before it.</summary>
    public const int SliceBytes = (16 << 20) + 512;

    private const int SlicePayloadBytes = 16 << 20;
    private const int SliceMetaBytes = 200;
    private const long Collection = 1001;
    private const long Partition = 1002;

    /// <summary>Whether it is a segment's group of scalars, which a load reads, and not one of vectors, of which it reads the footer.</summary>
    public static bool IsScalars(DatasetObject item) => item.Kind == ObjectKind.InsertLog && item.Key.Contains("/0/", StringComparison.Ordinal);

    /// <summary>Sealed segments in the proportions of a 768-dimensional collection: beside each GiB of vectors 67 index slices with their SLICE_META and 8 to 16 MiB of scalars.</summary>
    /// <param name="vectorBytes">Of a segment's wide column group, which comes out between this and <see cref="LeastWideBytes"/>.</param>
    /// <param name="first">Number of the first segment: other numbers are other objects.</param>
    public static IReadOnlyList<DatasetObject> DescribeSegments(string root, long vectorBytes, int segments, long seed, int first = 0)
    {
        var objects = new List<DatasetObject>();
        for (var number = first; number < first + segments; number++)
        {
            DescribeFullSegment(objects, root.TrimEnd('/'), vectorBytes, 460_000_000_000 + (number * 1000L), seed);
        }

        return objects;
    }

    /// <summary>The smallest that <see cref="DescribeSegments"/> makes of a wide column group: a twentieth less.</summary>
    public static long LeastWideBytes(long vectorBytes) => vectorBytes / 20 * 19;

    /// <summary>An index over so many bytes of vectors.</summary>
    /// <param name="folder">With the root: <c>{root}/index_files/{build}/{version}/{partition}/{segment}</c>.</param>
    public static IReadOnlyList<DatasetObject> DescribeIndex(string folder, long vectorBytes, long seed)
    {
        var objects = new List<DatasetObject>();
        for (var left = Math.Max(1, vectorBytes / 64 * 67); left > 0; left -= SlicePayloadBytes)
        {
            Add($"HNSW_{objects.Count}", Math.Min(left, SlicePayloadBytes) + (SliceBytes - SlicePayloadBytes), ObjectKind.IndexSlice);
        }

        Add("SLICE_META", SliceMetaBytes, ObjectKind.SliceMeta);
        return objects;

        void Add(string name, long size, ObjectKind kind) => objects.Add(new DatasetObject($"{folder}/{name}", size, kind, new Content(seed, $"{folder}/{name}")));
    }

    /// <param name="bytes">Size to come near to: statistics and deltas come on top, about one percent.</param>
    /// <param name="first">Number of the first segment: other numbers are other objects.</param>
    public static IReadOnlyList<DatasetObject> Describe(string root, long bytes, int segments, long seed, int first = 0)
    {
        var objects = new List<DatasetObject>();
        for (var segment = 0; segment < segments; segment++)
        {
            DescribeSegment(objects, root.TrimEnd('/'), bytes / segments, 450_000_000_000 + ((first + segment) * 1000L), seed);
        }

        return objects;
    }

    private static void DescribeFullSegment(List<DatasetObject> objects, string root, long vectorBytes, long segment, long seed)
    {
        void Add(ObjectKind kind, string key, long size) => objects.Add(new DatasetObject(key, size, kind, new Content(seed, key)));

        var choices = new Content(seed, $"{root}/{segment}");
        objects.AddRange(DescribeIndex($"{root}/index_files/{segment + 7}/1/{Partition}/{segment}", vectorBytes, seed));

        var scalarBytes = Math.Max(50 << 10, vectorBytes / 128);
        var inserts = $"{root}/insert_log/{Collection}/{Partition}/{segment}";
        Add(ObjectKind.InsertLog, $"{inserts}/0/{segment + 11}", scalarBytes + choices.Choose(1, scalarBytes));
        Add(ObjectKind.InsertLog, $"{inserts}/101/{segment + 12}", LeastWideBytes(vectorBytes) + choices.Choose(2, Math.Max(1, vectorBytes / 20)));

        // 1.8 bytes a row of 3 KiB.
        var statsBytes = Math.Max(1 << 10, vectorBytes / 1700) + choices.Choose(3, 1024);
        Add(ObjectKind.StatsLog, $"{root}/stats_log/{Collection}/{Partition}/{segment}/100/{segment + 13}", statsBytes);
        Add(ObjectKind.StatsLog, $"{root}/stats_log/{Collection}/{Partition}/{segment}/100/1", statsBytes + 17);
        for (var delta = choices.Choose(4, 4); delta > 0; delta--)
        {
            var deltaBytes = (10 << 10) + choices.Choose(4 + (int)delta, Math.Clamp(vectorBytes / 256, 1 << 10, 1 << 20));
            Add(ObjectKind.DeltaLog, $"{root}/delta_log/{Collection}/{Partition}/{segment}/{segment + 19 + delta}", deltaBytes);
        }
    }

    private static void DescribeSegment(List<DatasetObject> objects, string root, long budget, long segment, long seed)
    {
        void Add(ObjectKind kind, string key, long size) => objects.Add(new DatasetObject(key, size, kind, new Content(seed, key)));

        var choices = new Content(seed, $"{root}/{segment}");
        var indexBytes = Math.Max(1, budget / 2);
        var index = $"{root}/index_files/{segment + 7}/1/{Partition}/{segment}";
        var slices = 0;
        for (var left = indexBytes; left > 0; left -= SliceBytes)
        {
            Add(ObjectKind.IndexSlice, $"{index}/HNSW_{slices++}", Math.Min(left, SliceBytes));
        }

        Add(ObjectKind.SliceMeta, $"{index}/SLICE_META", SliceMetaBytes);

        var scalarBytes = Math.Clamp(budget / 32, 50 << 10, 16 << 20) + choices.Choose(1, 4096);
        var inserts = $"{root}/insert_log/{Collection}/{Partition}/{segment}";
        Add(ObjectKind.InsertLog, $"{inserts}/0/{segment + 11}", scalarBytes);
        Add(ObjectKind.InsertLog, $"{inserts}/101/{segment + 12}", Math.Max(1, budget - indexBytes - scalarBytes) + choices.Choose(2, 4096));

        var statsBytes = Math.Clamp(budget / 256, 1 << 10, 600 << 10) + choices.Choose(3, 1024);
        var stats = $"{root}/stats_log/{Collection}/{Partition}/{segment}/100";
        Add(ObjectKind.StatsLog, $"{stats}/{segment + 13}", statsBytes);
        Add(ObjectKind.StatsLog, $"{stats}/1", statsBytes + 17);

        var deltas = choices.Choose(4, 4);
        for (var delta = 0; delta < deltas; delta++)
        {
            var deltaBytes = (10 << 10) + choices.Choose(5 + delta, Math.Clamp(budget / 256, 1 << 10, 1 << 20));
            Add(ObjectKind.DeltaLog, $"{root}/delta_log/{Collection}/{Partition}/{segment}/{segment + 20 + delta}", deltaBytes);
        }
    }
}
