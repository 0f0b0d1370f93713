using System.CommandLine;
using Proxy.Bench.Workloads;

namespace Proxy.Bench.Commands;

/// <summary>The options that say which dataset: <c>dataset</c> and <c>verify</c> given the same ones mean the same bytes.</summary>
internal sealed class DatasetOptions
{
    private readonly Option<string> _root = new("--root") { Description = "Key prefix (Milvus's minio.rootPath)", DefaultValueFactory = _ => "files" };

    private readonly Option<long> _size = ByteSize.Option("--size", "Total size, as 64MiB or 2GiB", 2L << 30);

    private readonly Option<long> _seed = new("--seed") { Description = "What the bytes grow from", DefaultValueFactory = _ => 1L };

    private readonly Option<int> _segments = new Option<int>("--segments") { Description = "Segments the size is split over; 0 is one per 512 MiB" }.AtLeast(0);

    private readonly Option<string> _etag = new("--etag")
    {
        Description = "What an ETag must be: md5, or opaque (for a backend that encrypts with KMS)",
        DefaultValueFactory = _ => "md5",
    };

    public void AddTo(Command command)
    {
        _etag.AcceptOnlyFromAmong("md5", "opaque");
        Option[] options = [_root, _size, _seed, _segments, _etag];
        foreach (var option in options)
        {
            command.Options.Add(option);
        }
    }

    public EtagRule ReadEtagRule(ParseResult values) => values.GetRequiredValue(_etag) == "md5" ? EtagRule.Md5 : EtagRule.Opaque;

    public IReadOnlyList<DatasetObject> Describe(ParseResult values)
    {
        var size = values.GetRequiredValue(_size);
        var segments = values.GetValue(_segments);
        return MilvusDataset.Describe(
            values.GetRequiredValue(_root),
            size,
            segments > 0 ? segments : (int)Math.Max(1, size / (512L << 20)),
            values.GetRequiredValue(_seed));
    }
}
