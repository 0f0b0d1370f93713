using System.Collections.Frozen;
using System.Globalization;
using Microsoft.Extensions.Primitives;
using Proxy.Backends.Remote;
using Proxy.S3.Auth;
using Proxy.S3.Checksums;
using Proxy.S3.Objects;
using Proxy.S3.Streaming;
using Yarp.ReverseProxy.Forwarder;

namespace Proxy.Server.Forwarding;

/// <summary>Makes the backend's request out of the client's, and the client's answer out of the backend's.</summary>
/// <remarks>One per request, made by <see cref="BackendForwarder"/>. Everything it does not name here goes through as it came.</remarks>
internal sealed class ForwardTransformer(
    RemoteBackend backend, RemoteEndpoint endpoint, ForwardRequest request, Credential credential, string? contentMd5, string payloadHash, long? length) : HttpTransformer
{
    /// <summary>Of the client's signature and framing, of this hop, or said anew below. Cookies know no ports: one may be the console's session.</summary>
    private static readonly FrozenSet<string> NotForwarded = FrozenSet.ToFrozenSet(
        [
            "Authorization", "x-amz-content-sha256", "x-amz-date", "x-amz-security-token", "x-amz-decoded-content-length", "x-amz-trailer", "Date",
            "Host", "Expect", "Content-Length", "Connection", "Keep-Alive", "Proxy-Connection", "Proxy-Authorization", "Proxy-Authenticate", "TE", "Trailer",
            "Transfer-Encoding", "Upgrade", "HTTP2-Settings", "Cookie",
        ],
        StringComparer.OrdinalIgnoreCase);

    // Trailers of an answer end here, whoever asks for them (TE): Kestrel sends none over HTTP/1.1, and no S3 operation answers with any.
    // X-Cache is ours to say: a backend that has a cache of its own (another of us) would contradict our counters. And a backend's cookie would take the place
    // of the console's.
    private static readonly FrozenSet<string> NotReturned = FrozenSet.ToFrozenSet(
        ["Connection", "Keep-Alive", "Proxy-Connection", "Proxy-Authenticate", "TE", "Trailer", "Transfer-Encoding", "Upgrade", "X-Cache", "Set-Cookie"], StringComparer.OrdinalIgnoreCase);

    /// <summary>0 until the backend answered.</summary>
    public int StatusCode { get; private set; }

    /// <summary>Whether 503 and 429 are kept from the client, to be asked again.</summary>
    public bool MayHoldBack { get; init; }

    /// <summary>Over when an answer has come that is not held back: how slowly its client takes it is not the backend's burden.</summary>
    public ReadTurn? Turn { get; init; }

    /// <summary>The answer was dropped, and the client's response is as it was, but for its status.</summary>
    public bool IsHeldBack { get; private set; }

    /// <summary>Held back because the backend refused the date of our signature; the next one is right.</summary>
    public bool IsMisdated { get; private set; }

    public override ValueTask TransformRequestAsync(HttpContext httpContext, HttpRequestMessage proxyRequest, string destinationPrefix, CancellationToken cancellationToken)
    {
        var client = httpContext.Request.Headers;
        var signed = new List<KeyValuePair<string, string>>();
        var trailer = payloadHash == PayloadHash.StreamingUnsignedTrailer ? request.Trailer : null;
        var trailerEndsHere = trailer is null && client.ContainsKey("x-amz-trailer");
        var connection = client.Connection;
        string? encoding = null;
        foreach (var (name, values) in client)
        {
            if (NotForwarded.Contains(name)
                || (connection.Count > 0 && IsListed(connection, name) && !IsOfTheRequest(name))
                // Promises a checksum that came in the trailer and ends here; a store that trusts the promise refuses the request.
                || (trailerEndsHere && name.Equals("x-amz-sdk-checksum-algorithm", StringComparison.OrdinalIgnoreCase)))
            {
                continue;
            }

            // One line: the way HttpClient would join several is not the way they are signed.
            var value = values.Count == 1 ? values[0]! : string.Join(',', (IEnumerable<string?>)values);
            if (name.Equals("Content-Encoding", StringComparison.OrdinalIgnoreCase))
            {
                encoding = PayloadReader.WithoutAwsChunked(value);
                continue;
            }
            else if (name.Equals("x-amz-copy-source", StringComparison.OrdinalIgnoreCase))
            {
                value = MapCopySource(value);
            }

            Add(proxyRequest, name, value, signed);
        }

        if (trailer is not null)
        {
            encoding = encoding is null ? "aws-chunked" : $"aws-chunked,{encoding}";
            Add(proxyRequest, "x-amz-trailer", trailer.Algorithm.ToHeaderName(), signed);
            Add(proxyRequest, "x-amz-decoded-content-length", request.BodyLength!.Value.ToString(CultureInfo.InvariantCulture), signed);
        }

        if (encoding is not null)
        {
            Add(proxyRequest, "Content-Encoding", encoding, signed);
        }

        if (contentMd5 is not null)
        {
            Add(proxyRequest, "Content-MD5", contentMd5, signed);
        }

        if (proxyRequest.Content is { } content)
        {
            content.Headers.ContentLength = length;
        }

        var bucket = request.Bucket is null ? null : backend.MapBucket(request.Bucket);
        var path = endpoint.PathFor(bucket, request.RawKey);
        var query = WithoutPresigning(request.RawQuery);
        backend.Sign(proxyRequest, endpoint, bucket, path, query, signed, payloadHash, credential);
        proxyRequest.Headers.ExpectContinue = AsksFirst(client) ? true : null;
        proxyRequest.Options.Set(RemoteBackend.OperationKey, request.Operation);
        if (Turn is not null)
        {
            proxyRequest.Options.Set(ReadTurn.Key, Turn);
        }

        return ValueTask.CompletedTask;
    }

    public override async ValueTask<bool> TransformResponseAsync(HttpContext httpContext, HttpResponseMessage? proxyResponse, CancellationToken cancellationToken)
    {
        if (proxyResponse is null)
        {
            return false;
        }

        StatusCode = (int)proxyResponse.StatusCode;
        if (MayHoldBack && StatusCode is (503 or 429))
        {
            IsHeldBack = true;
            return false;
        }

        if (await backend.WasMisdatedAsync(proxyResponse, cancellationToken))
        {
            IsHeldBack = IsMisdated = true;
            return false;
        }

        Turn?.Answered();
        Turn?.Dispose();

        if (await BackendRefusal.ReadAsync(proxyResponse, backend, cancellationToken) is { } refusal)
        {
            await ReportAsync(proxyResponse, document: null, cancellationToken);
            throw refusal;
        }

        if (!request.BufferResponse)
        {
            await ReportAsync(proxyResponse, document: null, cancellationToken);
        }

        var response = httpContext.Response;
        CopyHeaders(proxyResponse.Headers.NonValidated, response.Headers);
        CopyHeaders(proxyResponse.Content.Headers.NonValidated, response.Headers);
        if (StatusCode is 204 or < 200 || proxyResponse.Headers.TransferEncodingChunked == true)
        {
            response.Headers.ContentLength = null;
        }

        // The answer names the bucket as the backend does; what OnResponse is told stays the backend's own word.
        var names = BucketNames.For(request, backend, httpContext.Request);
        names?.ReplaceIn(response.Headers, request);
        names = names?.MayBeIn(proxyResponse) == true ? names : null;
        if (request.BufferResponse)
        {
            await JudgeLateAsync(proxyResponse, response, names, cancellationToken);
        }
        else if (names is not null)
        {
            var delta = await names.ReplaceInStreamAsync(proxyResponse, cancellationToken);
            if (response.ContentLength is { } declared)
            {
                response.ContentLength = declared + delta;
            }
        }

        return true;
    }

    /// <summary>Takes a presigned query's own parameters out; everything else stays as it is spelled.</summary>
    internal static string? WithoutPresigning(string? rawQuery)
    {
        if (rawQuery is null || !rawQuery.Contains("X-Amz-Signature=", StringComparison.Ordinal))
        {
            return rawQuery;
        }

        var kept = rawQuery.Split('&').Where(static pair => !IsPresigning(pair.AsSpan(0, pair.IndexOf('=') is var at and >= 0 ? at : pair.Length)));
        return string.Join('&', kept);
    }

    private static bool IsPresigning(ReadOnlySpan<char> name)
        => name is "X-Amz-Algorithm" or "X-Amz-Credential" or "X-Amz-Date" or "X-Amz-Expires" or "X-Amz-SignedHeaders" or "X-Amz-Signature"
            or "X-Amz-Security-Token" or "X-Amz-Content-Sha256";

    private ValueTask ReportAsync(HttpResponseMessage answer, ReadOnlyMemory<byte>? document, CancellationToken cancellation)
        => request.OnResponse?.Invoke(new BackendResponse(answer, document, document is { } whole ? ErrorDocument.TryReadCode(whole) : null), cancellation) ?? default;

    /// <summary>Puts in place of the answer's content one that says how the request ended once it is all there, and before the client sees its document.</summary>
    private async ValueTask JudgeLateAsync(HttpResponseMessage answer, HttpResponse response, BucketNames? names, CancellationToken cancellation)
    {
        var stream = await answer.Content.ReadAsStreamAsync(cancellation);
        answer.Content = new StreamContent(new LateDocument(
            stream,
            begins: () => response.ContentLength = null,
            async (whole, given, stop) =>
            {
                await ReportAsync(answer, whole, stop);
                var rest = names is null ? whole[given..] : names.Replace(whole[given..]);
                if (given == 0 && !HttpMethods.IsHead(response.HttpContext.Request.Method) && StatusCode is not (204 or 304))
                {
                    response.ContentLength = rest.Length;
                }

                return rest;
            }));
    }

    private static void CopyHeaders(System.Net.Http.Headers.HttpHeadersNonValidated from, IHeaderDictionary to)
    {
        foreach (var header in from)
        {
            if (!NotReturned.Contains(header.Key))
            {
                // Kestrel refuses the whole answer for a control character.
                to[header.Key] = header.Value.Count == 1 ? FieldValue.Clean(header.Value.ToString()) : new StringValues([.. header.Value.Select(FieldValue.Clean)]);
            }
        }
    }

    private static void Add(HttpRequestMessage message, string name, string value, List<KeyValuePair<string, string>> signed)
    {
        if (!message.Headers.TryAddWithoutValidation(name, value) && message.Content?.Headers.TryAddWithoutValidation(name, value) != true)
        {
            return;
        }

        if (name.StartsWith("x-amz-", StringComparison.OrdinalIgnoreCase)
            || name.Equals("Content-MD5", StringComparison.OrdinalIgnoreCase) || name.Equals("Content-Type", StringComparison.OrdinalIgnoreCase))
        {
            signed.Add(new(name, value));
        }
    }

    private static bool IsListed(StringValues connection, string name)
    {
        foreach (var line in connection)
        {
            foreach (var token in line.AsSpan().Split(','))
            {
                if (line.AsSpan()[token].Trim().Equals(name, StringComparison.OrdinalIgnoreCase))
                {
                    return true;
                }
            }
        }

        return false;
    }

    /// <summary>
    /// Connection names headers of this hop, and anybody on the way can add to it. What is under the client's signature, and what S3 reads in any request, is none
    /// (RFC 9110 §7.6.1): without its condition or its source a PUT is another request.
    /// </summary>
    private bool IsOfTheRequest(string name)
        => name.StartsWith("x-amz-", StringComparison.OrdinalIgnoreCase) || name.StartsWith("If-", StringComparison.OrdinalIgnoreCase)
            || name.StartsWith("Content-", StringComparison.OrdinalIgnoreCase) || name.Equals("Range", StringComparison.OrdinalIgnoreCase)
            || name.Equals("Cache-Control", StringComparison.OrdinalIgnoreCase) || name.Equals("Expires", StringComparison.OrdinalIgnoreCase)
            || request.SignedHeaders.Split(';').Contains(name, StringComparer.OrdinalIgnoreCase);

    private string MapCopySource(string source)
    {
        if (backend.Options.BucketMap.Count == 0 && request.CopySourceBucket is null)
        {
            return source;
        }

        // Some clients encode the whole value, the slashes too.
        var start = source.StartsWith('/') ? 1 : source.StartsWith("%2F", StringComparison.OrdinalIgnoreCase) ? 3 : 0;
        var slash = source.IndexOf('/', start);
        var encoded = source.IndexOf("%2F", start, StringComparison.OrdinalIgnoreCase);
        var end = slash < 0 ? encoded : encoded < 0 ? slash : Math.Min(slash, encoded);
        return end < 0 ? source : $"{source[..start]}{request.CopySourceBucket ?? backend.MapBucket(source[start..end])}{source[end..]}";
    }

    private bool AsksFirst(IHeaderDictionary client)
        => request.Body is not null && backend.Options.AsksFirst(length, client.ContainsKey("If-None-Match") || client.ContainsKey("If-Match"));
}
