using System.Buffers;
using System.Security.Cryptography;
using System.Text;
using Proxy.Bench.Http;
using Proxy.Bench.Report;

namespace Proxy.Bench.Workloads;

/// <summary>Writes a dataset through an S3 endpoint the way Milvus's four clients would.</summary>
/// <param name="signing">One way for all bodies, or null for each kind's own; <see cref="PayloadSigning.Trailer"/> is for those of Milvus's C++ side, the Go side's stay as they are.</param>
internal sealed class DatasetWriter(S3ClientPool clients, RunReport report, EtagRule etags, PayloadSigning? signing)
{
    /// <param name="progress">Told the bytes of each request once it was acknowledged.</param>
    public async Task WriteAsync(IReadOnlyList<DatasetObject> objects, int concurrency, Action<long> progress, CancellationToken cancellation)
    {
        await EnsureBucketAsync(cancellation);
        await Parallel.ForEachAsync(
            objects,
            new ParallelOptions { MaxDegreeOfParallelism = concurrency, CancellationToken = cancellation },
            async (item, token) =>
            {
                if (item.IsMultipart)
                {
                    await UploadPartsAsync(item, progress, token);
                }
                else
                {
                    await clients.UseAsync(
                        client => UploadAsync(client, new S3Request("PUT", "PUT", item.Key), item, 0, (int)item.Size, token),
                        token);
                    progress(item.Size);
                }
            });
    }

    private async Task EnsureBucketAsync(CancellationToken cancellation)
    {
        var head = await clients.SendAsync(new S3Request("HEAD bucket", "HEAD", null), cancellation);
        if (head.Status != 404)
        {
            RunFailedException.Unless(head.Status == 200, $"HEAD bucket answered {head.Status}");
            return;
        }

        var made = await clients.SendAsync(new S3Request("PUT bucket", "PUT", null), cancellation);
        RunFailedException.Unless(made.Status is 200 or 409, $"PUT bucket answered {made.Status}: {made.Text}");
    }

    private async Task UploadPartsAsync(DatasetObject item, Action<long> progress, CancellationToken cancellation)
    {
        var created = await clients.SendAsync(new S3Request("CreateMultipartUpload", "POST", item.Key) { Query = "uploads=" }, cancellation);
        var uploadId = created.Element("UploadId")
            ?? throw new RunFailedException($"CreateMultipartUpload {item.Key} answered {created.Status} without an UploadId: {created.Text}");
        var encodedId = Uri.EscapeDataString(uploadId);
        var tags = new string[item.PartCount];
        try
        {
            await Parallel.ForEachAsync(
                Enumerable.Range(0, item.PartCount),
                new ParallelOptions { MaxDegreeOfParallelism = 8, CancellationToken = cancellation },    // Arrow's I/O pool
                async (part, token) =>
                {
                    var offset = (long)part * DatasetObject.PartBytes;
                    var length = (int)Math.Min(DatasetObject.PartBytes, item.Size - offset);
                    var request = new S3Request("UploadPart", "PUT", item.Key) { Query = $"partNumber={part + 1}&uploadId={encodedId}" };
                    tags[part] = await clients.UseAsync(client => UploadAsync(client, request, item, offset, length, token), token);
                    progress(length);
                });
        }
        catch (Exception) when (!cancellation.IsCancellationRequested)
        {
            await clients.SendAsync(new S3Request("AbortMultipartUpload", "DELETE", item.Key) { Query = $"uploadId={encodedId}" }, cancellation);
            throw;
        }

        await CompleteAsync(item, encodedId, tags, cancellation);
    }

    private async Task CompleteAsync(DatasetObject item, string encodedId, string[] tags, CancellationToken cancellation)
    {
        var xml = new StringBuilder("<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">");
        for (var part = 0; part < tags.Length; part++)
        {
            xml.Append("<Part><ETag>").Append(tags[part].Replace("\"", "&quot;", StringComparison.Ordinal))
                .Append("</ETag><PartNumber>").Append(part + 1).Append("</PartNumber></Part>");
        }

        var body = Encoding.UTF8.GetBytes(xml.Append("</CompleteMultipartUpload>").ToString());
        var completed = await clients.SendAsync(
            new S3Request("CompleteMultipartUpload", "POST", item.Key) { Query = $"uploadId={encodedId}", Body = body },
            cancellation);
        // A 200 can carry an <Error>: S3 sends the status before it knows.
        RunFailedException.Unless(
            completed.Status == 200 && completed.Element("Code") is null,
            $"CompleteMultipartUpload {item.Key} answered {completed.Status}: {completed.Text}");
    }

    private PayloadSigning SigningOf(DatasetObject item)
        => signing is { } wanted && (wanted != PayloadSigning.Trailer || item.Signing == PayloadSigning.Sha256) ? wanted : item.Signing;

    /// <returns>The entity tag that was answered.</returns>
    private async Task<string> UploadAsync(
        S3Client client, S3Request request, DatasetObject item, long offset, int length, CancellationToken cancellation)
    {
        var buffer = ArrayPool<byte>.Shared.Rent(length);
        try
        {
            item.Content.Fill(buffer.AsSpan(0, length), offset);
            var answer = await client.SendAsync(
                request with { Body = buffer.AsMemory(0, length), Signing = SigningOf(item) },
                cancellation);
            RunFailedException.Unless(answer.Status == 200, $"{request.Operation} {item.Key} answered {answer.Status}: {answer.Text}");
            report.AddBytes(request.Operation, length);
            var tag = answer.Head["ETag"] ?? "";
            if (etags == EtagRule.Md5)
            {
                var expected = $"\"{Convert.ToHexStringLower(MD5.HashData(buffer.AsSpan(0, length)))}\"";
                report.Check(tag == expected, () => $"{request.Operation} {item.Key}: ETag {tag}, the bytes sent have {expected}");
            }

            return tag;
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }
}

/// <summary>What an entity tag is held to be.</summary>
internal enum EtagRule
{
    /// <summary>MD5 of the bytes, or of the parts' MD5s and <c>-N</c>: what S3 servers answer without KMS encryption.</summary>
    Md5,

    /// <summary>Anything, as long as it stays the same.</summary>
    Opaque,
}

/// <summary>A run that cannot go on; the message is for the person who started it.</summary>
internal sealed class RunFailedException(string message) : Exception(message)
{
    public static void Unless(bool holds, string message)
    {
        if (!holds)
        {
            throw new RunFailedException(message);
        }
    }
}
