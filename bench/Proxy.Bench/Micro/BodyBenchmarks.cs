using BenchmarkDotNet.Attributes;
using Proxy.S3.Auth;
using Proxy.S3.Checksums;
using Proxy.S3.Streaming;

namespace Proxy.Bench.Micro;

/// <summary>Taking an aws-chunked body of 1 MiB in 64 KiB chunks apart, without signatures: the framing alone.</summary>
[MemoryDiagnoser]
public class AwsChunkedBenchmarks
{
    private const int Bytes = 1 << 20;

    private readonly byte[] _encoded = AwsChunkedEncoder.Encode(new byte[Bytes], 64 << 10, null);
    private readonly byte[] _decoded = new byte[64 << 10];

    [Benchmark]
    public async Task<long> DecodeAsync()
    {
        using var body = new MemoryStream(_encoded);
        await using var reader = new AwsChunkedReader(body, Bytes, PayloadMode.StreamingUnsignedTrailer, null, []);
        var total = 0L;
        int read;
        while ((read = await reader.ReadAsync(_decoded, CancellationToken.None)) > 0)
        {
            total += read;
        }

        return total;
    }
}

/// <summary>The checksums S3 clients ask for, over 1 MiB.</summary>
public class ChecksumBenchmarks
{
    private readonly byte[] _data = new byte[1 << 20];
    private readonly byte[] _value = new byte[64];

    [ParamsAllValues]
    public ChecksumAlgorithm Algorithm { get; set; }

    [Benchmark]
    public int Sum()
    {
        using var checksum = IncrementalChecksum.Create(Algorithm);
        checksum.Append(_data);
        return checksum.GetValueAndReset(_value);
    }
}
