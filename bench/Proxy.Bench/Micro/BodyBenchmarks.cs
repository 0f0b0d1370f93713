using System.Text;
using BenchmarkDotNet.Attributes;
using Proxy.S3.Auth;
using Proxy.S3.Checksums;
using Proxy.S3.Streaming;

namespace Proxy.Bench.Micro;

/// <summary>Taking an aws-chunked body of 1 MiB in 64 KiB chunks apart: the framing alone, and with every chunk's signature checked, as minio-go signs over http.</summary>
[MemoryDiagnoser]
public class AwsChunkedBenchmarks
{
    private const int Bytes = 1 << 20;
    private const int ChunkBytes = 64 << 10;

    private readonly SigningKey _key = SigningKey.Derive("minioadmin", "20260101", "us-east-1", "s3");
    private readonly byte[] _decoded = new byte[ChunkBytes];
    private byte[] _encoded = [];

    [ParamsAllValues]
    public bool IsSigned { get; set; }

    [GlobalSetup]
    public void Encode() => _encoded = AwsChunkedEncoder.Encode(new byte[Bytes], ChunkBytes, Signer());

    [Benchmark]
    public async Task<long> DecodeAsync()
    {
        using var body = new MemoryStream(_encoded);
        using var reader = new AwsChunkedReader(body, Bytes, IsSigned ? PayloadMode.StreamingSigned : PayloadMode.StreamingUnsignedTrailer, Signer(), []);
        var total = 0L;
        int read;
        while ((read = await reader.ReadAsync(_decoded, CancellationToken.None)) > 0)
        {
            total += read;
        }

        return total;
    }

    /// <summary>At the beginning of a body's chain.</summary>
    private ChunkSigner? Signer()
        => IsSigned ? new ChunkSigner(_key, "20260101T000000Z", "20260101/us-east-1/s3/aws4_request", Encoding.ASCII.GetBytes(new string('0', 64))) : null;
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
