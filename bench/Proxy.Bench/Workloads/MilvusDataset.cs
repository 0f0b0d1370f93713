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

    private const int SliceMetaBytes = 200;

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

    private static void DescribeSegment(List<DatasetObject> objects, string root, long budget, long segment, long seed)
    {
        const int collection = 1001, partition = 1002;
        void Add(ObjectKind kind, string key, long size) => objects.Add(new DatasetObject(key, size, kind, new Content(seed, key)));

        var choices = new Content(seed, $"{root}/{segment}");
        var indexBytes = Math.Max(1, budget / 2);
        var index = $"{root}/index_files/{segment + 7}/1/{partition}/{segment}";
        var slices = 0;
        for (var left = indexBytes; left > 0; left -= SliceBytes)
        {
            Add(ObjectKind.IndexSlice, $"{index}/HNSW_{slices++}", Math.Min(left, SliceBytes));
        }

        Add(ObjectKind.SliceMeta, $"{index}/SLICE_META", SliceMetaBytes);

        var scalarBytes = Math.Clamp(budget / 32, 50 << 10, 16 << 20) + choices.Choose(1, 4096);
        var inserts = $"{root}/insert_log/{collection}/{partition}/{segment}";
        Add(ObjectKind.InsertLog, $"{inserts}/0/{segment + 11}", scalarBytes);
        Add(ObjectKind.InsertLog, $"{inserts}/101/{segment + 12}", Math.Max(1, budget - indexBytes - scalarBytes) + choices.Choose(2, 4096));

        var statsBytes = Math.Clamp(budget / 256, 1 << 10, 600 << 10) + choices.Choose(3, 1024);
        var stats = $"{root}/stats_log/{collection}/{partition}/{segment}/100";
        Add(ObjectKind.StatsLog, $"{stats}/{segment + 13}", statsBytes);
        Add(ObjectKind.StatsLog, $"{stats}/1", statsBytes + 17);

        var deltas = choices.Choose(4, 4);
        for (var delta = 0; delta < deltas; delta++)
        {
            var deltaBytes = (10 << 10) + choices.Choose(5 + delta, Math.Clamp(budget / 256, 1 << 10, 1 << 20));
            Add(ObjectKind.DeltaLog, $"{root}/delta_log/{collection}/{partition}/{segment}/{segment + 20 + delta}", deltaBytes);
        }
    }
}
