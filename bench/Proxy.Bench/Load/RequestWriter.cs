using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;
using Proxy.Bench.Http;
using Proxy.Bench.Workloads;
using Proxy.S3.Auth.Hashing;

namespace Proxy.Bench.Load;

/// <summary>Writes signed GETs and HEADs of a fixed list of objects into a buffer, allocating nothing.</summary>
/// <remarks>
/// The lean twin of <see cref="RequestSigner"/>, held to it by a test: everything but timestamp, range and signature is encoded once.
/// Range is among the signed headers, as minio-go and the AWS SDKs have it, so every request has a signature of its own.
/// One thread's own.
/// </remarks>
internal sealed class RequestWriter
{
    public const int RequestBytes = 4 << 10;

    private readonly byte[][] _paths;
    private readonly byte[] _host;
    private readonly byte[] _canonical = new byte[RequestBytes];
    private readonly byte[] _digest = new byte[SHA256.HashSizeInBytes];
    private readonly SigningScope _scope;

    public RequestWriter(S3Target target, IReadOnlyList<DatasetObject> objects, TimeProvider time)
    {
        _scope = new SigningScope(target, time);
        _host = Encoding.ASCII.GetBytes(target.HostHeader);
        _paths = [.. objects.Select(item => Encoding.ASCII.GetBytes($"/{target.Bucket}/{RequestSigner.EncodePath(item.Key)}"))];
    }

    /// <returns>How many bytes of <paramref name="into"/> are the request.</returns>
    public int Write(in LoadRequest request, Span<byte> into)
    {
        _scope.Renew();
        Span<byte> range = stackalloc byte[64];
        range = range[..(request.HasRange ? WriteRange(request, range) : 0)];
        var method = request.Operation == LoadOperation.Head ? "HEAD"u8 : "GET"u8;
        var path = _paths[request.Item];

        Span<byte> signature = stackalloc byte[2 * SHA256.HashSizeInBytes];
        Sign(method, path, range, signature);

        var head = new Cursor(into);
        head.Append(method);
        head.Append(" "u8);
        head.Append(path);
        head.Append(" HTTP/1.1\r\nHost: "u8);
        head.Append(_host);
        head.Append("\r\nUser-Agent: proxy-bench\r\nx-amz-content-sha256: e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\r\nx-amz-date: "u8);
        head.Append(_scope.Stamp);
        if (range.Length > 0)
        {
            head.Append("\r\nRange: "u8);
            head.Append(range);
        }

        head.Append("\r\n"u8);
        head.Append(_scope.Credential);
        head.Append(range.Length > 0
            ? ", SignedHeaders=host;range;x-amz-content-sha256;x-amz-date, Signature="u8
            : ", SignedHeaders=host;x-amz-content-sha256;x-amz-date, Signature="u8);
        head.Append(signature);
        head.Append("\r\n\r\n"u8);
        return head.Length;
    }

    private static int WriteRange(in LoadRequest request, Span<byte> into)
    {
        var range = new Cursor(into);
        range.Append("bytes="u8);
        range.Append(request.Start);
        range.Append("-"u8);
        range.Append(request.Start + request.Length - 1);
        return range.Length;
    }

    private void Sign(ReadOnlySpan<byte> method, ReadOnlySpan<byte> path, ReadOnlySpan<byte> range, Span<byte> hex)
    {
        var canonical = new Cursor(_canonical);
        canonical.Append(method);
        canonical.Append("\n"u8);
        canonical.Append(path);
        canonical.Append("\n\nhost:"u8);
        canonical.Append(_host);
        if (range.Length > 0)
        {
            canonical.Append("\nrange:"u8);
            canonical.Append(range);
        }

        canonical.Append("\nx-amz-content-sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\nx-amz-date:"u8);
        canonical.Append(_scope.Stamp);
        canonical.Append(range.Length > 0 ? "\n\nhost;range;x-amz-content-sha256;x-amz-date\n"u8 : "\n\nhost;x-amz-content-sha256;x-amz-date\n"u8);
        canonical.Append("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"u8);
        Sha256.Hash(_canonical.AsSpan(0, canonical.Length), _digest);
        _scope.SignRequest(_digest, hex);
    }

    private ref struct Cursor(Span<byte> into)
    {
        private readonly Span<byte> _into = into;

        public int Length { get; private set; }

        public void Append(scoped ReadOnlySpan<byte> bytes)
        {
            bytes.CopyTo(_into[Length..]);
            Length += bytes.Length;
        }

        public void Append(long number)
        {
            _ = Utf8Formatter.TryFormat(number, _into[Length..], out var written);
            Length += written;
        }
    }
}
