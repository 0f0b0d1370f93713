using System.Text;
using Proxy.Bench.Http;

namespace Proxy.Bench.Shape;

/// <summary>Signs the reads of a peer that cannot: a cache that changes Range or turns HEAD into GET breaks its client's signature.</summary>
/// <remarks>One connection's own; not thread-safe.</remarks>
internal sealed class PeerSigner(S3Target target)
{
    private readonly RequestSigner _signer = new(target, TimeProvider.System);
    private readonly byte[] _head = new byte[RequestSigner.HeadBytes];
    private readonly string _bucket = $"/{target.Bucket}/";

    /// <summary>The request itself when it is signed or no plain read; else its like with a signature, good until the next call.</summary>
    public HttpHead Sign(in HttpHead request)
    {
        var words = request.Line.Split(' ');
        if (request.IsSigned || words is not ["GET" or "HEAD", var path, _] || !path.StartsWith(_bucket, StringComparison.Ordinal) || path.AsSpan().ContainsAny('%', '?'))
        {
            return request;
        }

        string? range = null;
        foreach (var line in new HeadLines(request.Bytes.Span[request.Line.Length..]))
        {
            range = Ascii.EqualsIgnoreCase(line.Name, "Range"u8) ? Encoding.ASCII.GetString(line.Value) : range;
        }

        var length = _signer.WriteHead(_head, words[0], path[_bucket.Length..], "", RequestSigner.EmptyPayload, range is null ? [] : [new RequestHeader("range", range)]);
        return HttpHead.Parse(_head.AsMemory(0, length));
    }
}
