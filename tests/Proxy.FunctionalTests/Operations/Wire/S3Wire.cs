using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Proxy.FunctionalTests.Hosting;
using Proxy.S3.Auth;
using Proxy.S3.Streaming;

namespace Proxy.FunctionalTests.Operations.Wire;

/// <summary>An S3 client that sends exactly what it is told, over one connection that it opens again when the server closed it.</summary>
/// <remarks>Requests are signed by <see cref="RequestSigner"/>, whose own tests hold it to AWS's examples. For one test; not thread-safe.</remarks>
internal sealed class S3Wire(Uri endpoint, string bucket) : IAsyncDisposable
{
    public static readonly Credential Admin = new(ProxyProcess.AccessKey, ProxyProcess.SecretKey);

    private WireConnection? _connection;

    public Uri Endpoint { get; } = endpoint;

    public string Bucket { get; } = bucket;

    /// <summary>A further client of the same server and bucket.</summary>
    public S3Wire Another() => new(Endpoint, Bucket);

    /// <summary>Sends a signed request below the bucket.</summary>
    /// <param name="path">Raw: <c>/key</c>, <c>/key?uploads</c>, or <c>?list-type=2</c> for the bucket itself.</param>
    public Task<Answer> SendAsync(string method, string path, byte[]? body = null, params (string Name, string Value)[] headers)
        => SendAsync(new WireRequest(method, $"/{Bucket}{path}") { Body = body ?? [], Headers = Pairs(headers) });

    public async Task<Answer> SendAsync(WireRequest request)
    {
        var (head, body) = Encode(request);
        var bytes = (byte[])[.. head, .. body];
        var pooled = _connection is not null;
        while (true)
        {
            _connection ??= await WireConnection.OpenAsync(Endpoint);
            try
            {
                return await ExchangeAsync(_connection, request, bytes);
            }
            catch (IOException) when (pooled)
            {
                // Closed by the server after an earlier refusal; the request did not begin to be answered.
                await _connection.DisposeAsync();
                _connection = null;
                pooled = false;
            }
        }
    }

    public Task<Answer> PutAsync(string path, byte[] body, params (string Name, string Value)[] headers) => SendAsync("PUT", path, body, headers);

    public Task<Answer> PutAsync(string path, string body, params (string Name, string Value)[] headers) => PutAsync(path, Encoding.UTF8.GetBytes(body), headers);

    public Task<Answer> GetAsync(string path, params (string Name, string Value)[] headers) => SendAsync("GET", path, null, headers);

    public Task<Answer> HeadAsync(string path, params (string Name, string Value)[] headers) => SendAsync("HEAD", path, null, headers);

    public Task<Answer> DeleteAsync(string path, params (string Name, string Value)[] headers) => SendAsync("DELETE", path, null, headers);

    /// <summary>Begins a multipart upload.</summary>
    /// <returns>Its id, escaped for a query.</returns>
    public async Task<string> CreateUploadAsync(string path, params (string Name, string Value)[] headers)
        => Uri.EscapeDataString((await SendAsync("POST", $"{path}?uploads", null, headers)).Expect(200).Value("UploadId")!);

    public async Task<string> UploadPartAsync(string path, string upload, int number, byte[] body, params (string Name, string Value)[] headers)
        => (await PutAsync($"{path}?partNumber={number}&uploadId={upload}", body, headers)).Expect(200).ETag!;

    public Task<Answer> CompleteAsync(string path, string upload, IEnumerable<(int Number, string ETag)> parts, params (string Name, string Value)[] headers)
        => SendAsync("POST", $"{path}?uploadId={upload}", CompleteXml(parts), headers);

    /// <summary>With a further element in every part: its checksum.</summary>
    public Task<Answer> CompleteAsync(string path, string upload, IEnumerable<(int Number, string ETag, string Checksum)> parts, string element, params (string Name, string Value)[] headers)
    {
        var xml = string.Concat(parts.Select(part =>
            $"<Part><PartNumber>{part.Number.ToString(CultureInfo.InvariantCulture)}</PartNumber><ETag>{part.ETag.Replace("\"", "&quot;", StringComparison.Ordinal)}</ETag><{element}>{part.Checksum}</{element}></Part>"));
        return SendAsync("POST", $"{path}?uploadId={upload}", Encoding.UTF8.GetBytes($"<CompleteMultipartUpload>{xml}</CompleteMultipartUpload>"), headers);
    }

    public static byte[] CompleteXml(IEnumerable<(int Number, string ETag)> parts)
    {
        var xml = new StringBuilder("<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">");
        foreach (var (number, etag) in parts)
        {
            xml.Append(CultureInfo.InvariantCulture, $"<Part><PartNumber>{number}</PartNumber><ETag>{etag.Replace("\"", "&quot;", StringComparison.Ordinal)}</ETag></Part>");
        }

        return Encoding.UTF8.GetBytes(xml.Append("</CompleteMultipartUpload>").ToString());
    }

    /// <summary>The request as it goes over the wire: head, and body framed and corrupted as asked.</summary>
    public (byte[] Head, byte[] Body) Encode(WireRequest request)
    {
        var credential = request.Credential ?? Admin;
        var host = request.Host ?? Endpoint.Authority;
        var hash = request.PayloadHash ?? (request.Signing == Signing.Header ? Convert.ToHexStringLower(SHA256.HashData(request.Body)) : PayloadHash.Unsigned);
        var streaming = hash.StartsWith("STREAMING-", StringComparison.Ordinal);
        var headers = new List<KeyValuePair<string, string>>(request.Headers);
        if (streaming)
        {
            headers.Add(new("x-amz-decoded-content-length", request.Body.Length.ToString(CultureInfo.InvariantCulture)));
            if (request.Trailers is { } trailers)
            {
                headers.Add(new("x-amz-trailer", string.Join(',', trailers.Select(trailer => trailer.Key))));
            }
        }

        var signer = new RequestSigner(request.Region, new OffsetClock(request.ClockOffset));
        var target = request.Target;
        var text = new StringBuilder();
        ChunkSigner? chunks = null;
        switch (request.Signing)
        {
            case Signing.Header:
                var signature = signer.Sign(request.Method, target, host, headers, hash, credential);
                chunks = signature.Chunks;
                text.Append(CultureInfo.InvariantCulture, $"Authorization: {signature.Authorization}\r\nx-amz-date: {signature.AmzDate}\r\nx-amz-content-sha256: {signature.ContentSha256}\r\n");
                if (signature.SecurityToken is { } token)
                {
                    text.Append(CultureInfo.InvariantCulture, $"x-amz-security-token: {token}\r\n");
                }

                break;
            case Signing.Presigned:
                target = signer.Presign(request.Method, target, host, headers, request.Expires, credential);
                break;
        }

        var body = streaming ? AwsChunkedEncoder.Encode(request.Body, request.ChunkSize, hash.Contains("UNSIGNED", StringComparison.Ordinal) ? null : chunks, request.Trailers) : [.. request.Body];
        request.Corrupt?.Invoke(body);
        foreach (var (name, value) in headers.Concat(request.UnsignedHeaders))
        {
            text.Append(CultureInfo.InvariantCulture, $"{name}: {value}\r\n");
        }

        if (request.Chunked)
        {
            text.Append("Transfer-Encoding: chunked\r\n");
            body = body.Length == 0 ? [.. "0\r\n\r\n"u8] : [.. Encoding.ASCII.GetBytes($"{body.Length:x}\r\n"), .. body, .. "\r\n0\r\n\r\n"u8];
        }
        else if (!request.WithoutLength && (body.Length > 0 || request.Method is "PUT" or "POST"))
        {
            text.Append(CultureInfo.InvariantCulture, $"Content-Length: {body.Length}\r\n");
        }

        return (Encoding.UTF8.GetBytes($"{request.Method} {target} HTTP/1.1\r\nHost: {host}\r\n{text}\r\n"), body);
    }

    public async ValueTask DisposeAsync()
    {
        if (_connection is not null)
        {
            await _connection.DisposeAsync();
        }
    }

    internal static List<KeyValuePair<string, string>> Pairs((string Name, string Value)[] headers) => [.. headers.Select(header => KeyValuePair.Create(header.Name, header.Value))];

    private static async Task<Answer> ExchangeAsync(WireConnection connection, WireRequest request, byte[] bytes)
    {
        try
        {
            await connection.WriteAsync(bytes);
        }
        catch (IOException)
        {
            // Refused before the body was all sent: the refusal may be there to be read.
        }

        Answer answer;
        do
        {
            answer = await connection.ReadAnswerAsync(bodiless: request.Method == "HEAD");
        }
        while (answer.Status < 200);
        return answer;
    }

    private sealed class OffsetClock(TimeSpan offset) : TimeProvider
    {
        public override DateTimeOffset GetUtcNow() => base.GetUtcNow() + offset;
    }
}
