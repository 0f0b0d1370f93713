using System.Globalization;
using Proxy.Bench.Http;
using Proxy.Bench.Report;

namespace Proxy.Bench.Workloads;

/// <summary>Reads a dataset back and compares every byte and every header a client relies on.</summary>
/// <remarks>
/// Per object: HEAD and a full GET (Milvus's C++ side does both for every file), then ranges: the 64 KiB tail Arrow asks for
/// first, a suffix range, one that ends past the object, the edges, some seeded ones at any alignment, half of them
/// with If-Match (minio-go's follow-up reads), and one that must be refused with 416.
/// </remarks>
/// <param name="ranges">Seeded ranges per object.</param>
internal sealed class DatasetVerifier(S3ClientPool clients, RunReport report, EtagRule etags, int ranges)
{
    private const int TailBytes = 64 << 10;

    /// <param name="progress">Told each object's size once it was checked.</param>
    public async Task VerifyAsync(IReadOnlyList<DatasetObject> objects, int concurrency, Action<long> progress, CancellationToken cancellation)
        => await Parallel.ForEachAsync(
            objects,
            new ParallelOptions { MaxDegreeOfParallelism = concurrency, CancellationToken = cancellation },
            async (item, token) =>
            {
                await clients.UseAsync(client => VerifyAsync(client, item, token), token);
                progress(item.Size);
            });

    private async Task<bool> VerifyAsync(S3Client client, DatasetObject item, CancellationToken cancellation)
    {
        var head = (await client.SendAsync(new S3Request("HEAD", "HEAD", item.Key), cancellation)).Head;
        if (!report.Check(head.Status == 200, () => $"HEAD {item.Key}: status {head.Status}"))
        {
            return false;
        }

        var tag = head["ETag"] ?? "";
        CheckHeaders("HEAD", item, head, item.Size, tag);

        var whole = new BodyCheck(item, 0, item.Size, etags == EtagRule.Md5);
        var got = await client.SendAsync(new S3Request("GET", "GET", item.Key), whole.ReadAsync, cancellation);
        if (report.Check(got.Status == 200, () => $"GET {item.Key}: status {got.Status}"))
        {
            report.AddBytes("GET", item.Size);
            CheckHeaders("GET", item, got, item.Size, tag);
            report.Check(whole.Wrong is null, () => $"GET {item.Key}: {whole.Wrong}");
            if (whole is { Wrong: null, ExpectedETag: { } expected })
            {
                report.Check(tag == expected, () => $"GET {item.Key}: ETag {tag}, the bytes have {expected}");
            }
        }

        await VerifyRangesAsync(client, item, tag, cancellation);
        return true;
    }

    private async Task VerifyRangesAsync(S3Client client, DatasetObject item, string tag, CancellationToken cancellation)
    {
        var size = item.Size;
        var tail = Math.Min(TailBytes, size);
        Task VerifyAsync(string operation, string range, long start, long length, bool ifMatch)
            => VerifyRangeAsync(client, item, new S3Request(operation, "GET", item.Key) { Range = range, IfMatch = ifMatch ? tag : null }, start, length, tag, cancellation);

        await VerifyAsync("GET tail", $"bytes={size - tail}-{size - 1}", size - tail, tail, false);
        await VerifyAsync("GET range", $"bytes=-{tail}", size - tail, tail, false);
        await VerifyAsync("GET range", $"bytes={size / 2}-{size + 1000}", size / 2, size - (size / 2), false);
        await VerifyAsync("GET range", "bytes=0-0", 0, 1, false);
        await VerifyAsync("GET range", $"bytes={size - 1}-", size - 1, 1, true);
        for (var i = 0; i < ranges; i++)
        {
            var start = item.Content.Choose(100 + i, size);
            // Up to 4 MiB, at any alignment: the cells Milvus's tiered storage reads are 1–4 MiB.
            var atMost = 256L << (int)item.Content.Choose(300 + i, 15);
            var length = Math.Min(size - start, 1 + item.Content.Choose(200 + i, atMost));
            await VerifyAsync("GET range", $"bytes={start}-{start + length - 1}", start, length, i % 2 == 0);
        }

        var past = await client.SendAsync(new S3Request("GET past the end", "GET", item.Key) { Range = $"bytes={size}-" }, cancellation);
        report.Check(past.Status == 416, () => $"GET {item.Key} bytes={size}-: status {past.Status}, 416 was due");
    }

    private async Task VerifyRangeAsync(
        S3Client client, DatasetObject item, S3Request request, long start, long length, string tag, CancellationToken cancellation)
    {
        var body = new BodyCheck(item, start, length, withMd5: false);
        var head = await client.SendAsync(request, body.ReadAsync, cancellation);
        var what = $"GET {item.Key} {request.Range}";
        if (!report.Check(head.Status == 206, () => $"{what}: status {head.Status}"))
        {
            return;
        }

        report.AddBytes(request.Operation, length);
        CheckHeaders($"GET {request.Range}", item, head, length, tag);
        var due = string.Create(CultureInfo.InvariantCulture, $"bytes {start}-{start + length - 1}/{item.Size}");
        report.Check(head["Content-Range"] == due, () => $"{what}: Content-Range {head["Content-Range"]}, {due} was due");
        report.Check(body.Wrong is null, () => $"{what}: {body.Wrong}");
    }

    private void CheckHeaders(string what, DatasetObject item, ResponseHead head, long length, string tag)
    {
        report.Check(head.ContentLength == length, () => $"{what} {item.Key}: Content-Length {head["Content-Length"]}, {length} was due");
        report.Check(
            head["ETag"] is { Length: > 2 } && head["ETag"] == tag,
            () => $"{what} {item.Key}: ETag {head["ETag"] ?? "missing"}, {tag} was due");
        report.Check(
            DateTimeOffset.TryParseExact(head["Last-Modified"], "r", CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out _),
            () => $"{what} {item.Key}: Last-Modified {head["Last-Modified"] ?? "missing"}");
    }
}
