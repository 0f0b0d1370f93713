using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text;
using Proxy.Bench.Http;
using Proxy.Bench.Report;
using Proxy.Bench.Workloads;

namespace Proxy.Bench.Milvus;

/// <summary>An endpoint before a run and after it: it answers and nothing lies where the run writes; then nothing does again.</summary>
/// <remarks>Because the prefix was empty, whatever lies there at the end is the run's own. A bucket that the run had to make goes too.</remarks>
internal sealed class EndpointCheck(MilvusEndpoint endpoint, string root)
{
    private const int Removers = 16;
    private const int KeysOfARequest = 1000;

    private static readonly TimeSpan AnswersWithin = TimeSpan.FromSeconds(10);

    private bool _hasMadeBucket;

    /// <exception cref="RunFailedException">It does not answer, not to these keys, or has something under the prefix.</exception>
    public async Task BeginAsync(CancellationToken cancellation)
    {
        await ProbeAsync(endpoint.Target, endpoint.Name, cancellation);
        if (endpoint.Origin is { } origin && origin.Endpoint != endpoint.Target.Endpoint)
        {
            await ProbeAsync(origin, $"the origin of {endpoint.Name}", cancellation);
        }

        using var clients = NewClients();
        var head = await clients.SendAsync(new S3Request("HEAD bucket", "HEAD", null), cancellation);
        if (head.Status == 404)
        {
            var made = await clients.SendAsync(new S3Request("PUT bucket", "PUT", null), cancellation);
            RunFailedException.Unless(made.Status is 200 or 409, $"{endpoint.Name}: bucket {endpoint.Target.Bucket} is not there and cannot be made: {made.Status} {made.Element("Code")}");
            _hasMadeBucket = made.Status == 200;
        }

        var found = await ListAsync(clients, 1, cancellation);
        RunFailedException.Unless(
            found.Element("Key") is null,
            $"{endpoint.Name}: bucket {endpoint.Target.Bucket} already has objects under {root}/, as {found.Element("Key")}. All under it is removed at the end: name another --bucket or --root, or empty it");
    }

    /// <summary>Removes all under the prefix, and the bucket if the run made it.</summary>
    public async Task EndAsync(CancellationToken cancellation)
    {
        using var clients = NewClients();
        await AbortUploadsAsync(clients, cancellation);
        for (var last = ""; ;)
        {
            var keys = Elements((await ListAsync(clients, KeysOfARequest, cancellation)).Text, "Key");
            if (keys.Count == 0)
            {
                break;
            }

            RunFailedException.Unless(keys[0] != last, $"{endpoint.Name}: {keys[0]} is still listed after its removal; remove what is under {root}/ in bucket {endpoint.Target.Bucket} yourself");
            last = keys[0];
            await RemoveAsync(clients, keys, cancellation);
        }

        if (_hasMadeBucket)
        {
            await clients.SendAsync(new S3Request("DELETE bucket", "DELETE", null), cancellation);
        }
    }

    private static async Task ProbeAsync(S3Target target, string name, CancellationToken cancellation)
    {
        // One try: what does not answer now would be waited for in every workload.
        using var timeout = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        timeout.CancelAfter(AnswersWithin);
        var signer = new RequestSigner(target, TimeProvider.System);
        var head = new byte[RequestSigner.HeadBytes];
        try
        {
            using var connection = await S3Connection.OpenAsync(target, timeout.Token);
            await connection.SendAsync(head.AsMemory(0, signer.WriteHead(head, "HEAD", null, "", RequestSigner.EmptyPayload, [])), timeout.Token);
            var answer = await connection.ReadHeadAsync(bodiless: true, timeout.Token);
            RunFailedException.Unless(answer.Status != 403, $"{name} at {target.Endpoint} refuses these keys for bucket {target.Bucket}: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY");
            RunFailedException.Unless(answer.Status is 200 or 404, $"{name} at {target.Endpoint} answers HEAD of bucket {target.Bucket} with {answer.Status}");
        }
        catch (Exception error) when (error is IOException or SocketException || (error is OperationCanceledException && !cancellation.IsCancellationRequested))
        {
            throw new RunFailedException($"{name} at {target.Endpoint} does not answer: {(error is OperationCanceledException ? $"nothing within {AnswersWithin.TotalSeconds:0} s" : error.Message)}");
        }
    }

    private async Task<S3Answer> ListAsync(S3ClientPool clients, int most, CancellationToken cancellation)
    {
        var query = $"list-type=2&max-keys={most}&prefix={Uri.EscapeDataString(root + "/")}";
        var listed = await clients.SendAsync(new S3Request("LIST", "GET", null) { Query = query }, cancellation);
        RunFailedException.Unless(listed.Status == 200, $"{endpoint.Name}: listing bucket {endpoint.Target.Bucket} answered {listed.Status} {listed.Element("Code")}");
        return listed;
    }

    private async Task AbortUploadsAsync(S3ClientPool clients, CancellationToken cancellation)
    {
        var listed = await clients.SendAsync(new S3Request("LIST uploads", "GET", null) { Query = $"prefix={Uri.EscapeDataString(root + "/")}&uploads=" }, cancellation);
        var uploads = Elements(listed.Text, "Key").Zip(Elements(listed.Text, "UploadId")).ToList();
        await MilvusContext.ForEachAsync(
            uploads, Removers,
            (upload, token) => clients.SendAsync(new S3Request("AbortMultipartUpload", "DELETE", upload.First) { Query = $"uploadId={Uri.EscapeDataString(upload.Second)}" }, token), cancellation);
    }

    /// <summary>In one request where the backend knows DeleteObjects, in one each elsewhere.</summary>
    private static async Task RemoveAsync(S3ClientPool clients, IReadOnlyList<string> keys, CancellationToken cancellation)
    {
        var xml = $"<Delete><Quiet>true</Quiet>{string.Concat(keys.Select(key => $"<Object><Key>{System.Net.WebUtility.HtmlEncode(key)}</Key></Object>"))}</Delete>";
        var body = Encoding.UTF8.GetBytes(xml);
        var request = new S3Request("DeleteObjects", "POST", null) { Query = "delete=", Body = body, ContentMd5 = Convert.ToBase64String(MD5.HashData(body)) };
        var removed = await clients.SendAsync(request, cancellation);
        if (removed.Status != 200)
        {
            await MilvusContext.ForEachAsync(keys, Removers, (key, token) => clients.SendAsync(new S3Request("DELETE", "DELETE", key), token), cancellation);
        }

        RunFailedException.Unless(removed.Status != 200 || removed.Element("Code") is null, $"objects could not be removed: {removed.Element("Code")} {removed.Element("Message")}");
    }

    private static List<string> Elements(string xml, string name)
    {
        var found = new List<string>();
        for (var at = 0; (at = xml.IndexOf($"<{name}>", at, StringComparison.Ordinal)) >= 0;)
        {
            at += name.Length + 2;
            var end = xml.IndexOf('<', at);
            found.Add(System.Net.WebUtility.HtmlDecode(xml[at..end]));
        }

        return found;
    }

    private S3ClientPool NewClients() => new(endpoint.Target, new RunReport(), TimeProvider.System, Removers);
}
