using System.Globalization;
using System.Text;
using Proxy.S3.Auth.Hashing;
using Proxy.S3.Requests;

namespace Proxy.S3.Auth;

/// <summary>What a signed request carries beside what was signed.</summary>
/// <param name="AmzDate">x-amz-date.</param>
/// <param name="ContentSha256">x-amz-content-sha256.</param>
/// <param name="SecurityToken">x-amz-security-token; null when the credential has none.</param>
public readonly record struct RequestSignature(string Authorization, string AmzDate, string ContentSha256, string? SecurityToken)
{
    /// <summary>Signs the chunks of a streaming body that follows; null for other payloads.</summary>
    public ChunkSigner? Chunks { get; init; }
}

/// <summary>Signs outgoing requests with SigV4.</summary>
/// <remarks>Used by forwarding, the bench and tests. Thread-safe.</remarks>
public sealed class RequestSigner(string region, TimeProvider time)
{
    private const string Service = "s3";

    /// <param name="rawTarget">Path and query as they will stand in the request line.</param>
    /// <param name="host">As the Host header will have it, with the port unless it is the scheme's own.</param>
    /// <param name="headers">Every header to be signed beside host, x-amz-date, x-amz-content-sha256 and x-amz-security-token, which are added: all x-amz-* that are
    /// sent, and nothing that a hop may change.</param>
    /// <param name="payloadHash">Hex SHA-256 of the body or one of <see cref="PayloadHash"/>.</param>
    public RequestSignature Sign(
        string method, string rawTarget, string host, IReadOnlyList<KeyValuePair<string, string>> headers, string payloadHash, Credential credential)
    {
        var amzDate = AmzDate.Format(time.GetUtcNow());
        var all = new List<KeyValuePair<string, string>>(headers.Count + 4);
        all.AddRange(headers);
        all.Add(new("host", host));
        all.Add(new("x-amz-content-sha256", payloadHash));
        all.Add(new("x-amz-date", amzDate));
        if (credential.SessionToken is { } token)
        {
            all.Add(new("x-amz-security-token", token));
        }

        var signed = Canonical(all);
        var scope = Scope(amzDate);
        var key = credential.GetSigningKey(amzDate.AsSpan(0, 8), region, Service);
        var names = Names(signed);
        var signature = Sign(method, rawTarget, signed, names, payloadHash, amzDate, scope, key);
        return new RequestSignature(
            $"AWS4-HMAC-SHA256 Credential={credential.AccessKey}/{scope},SignedHeaders={names},Signature={signature}", amzDate, payloadHash, credential.SessionToken)
        {
            Chunks = payloadHash is PayloadHash.StreamingSigned or PayloadHash.StreamingSignedTrailer
                ? new ChunkSigner(key, amzDate, scope, Encoding.ASCII.GetBytes(signature))
                : null,
        };
    }

    /// <summary>The target with a presigned query: anybody may send it to <paramref name="host"/> until it expires.</summary>
    /// <param name="headers">Headers that whoever sends it must send too.</param>
    /// <param name="expires">One second to seven days.</param>
    public string Presign(
        string method, string rawTarget, string host, IReadOnlyList<KeyValuePair<string, string>> headers, TimeSpan expires, Credential credential)
    {
        var amzDate = AmzDate.Format(time.GetUtcNow());
        var scope = Scope(amzDate);
        var signed = Canonical([.. headers, new("host", host)]);
        var names = Names(signed);
        var target = new StringBuilder(rawTarget)
            .Append(rawTarget.Contains('?') ? '&' : '?')
            .Append("X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=").Append(Uri.EscapeDataString($"{credential.AccessKey}/{scope}"))
            .Append("&X-Amz-Date=").Append(amzDate)
            .Append("&X-Amz-Expires=").Append(((long)expires.TotalSeconds).ToString(CultureInfo.InvariantCulture));
        if (credential.SessionToken is { } token)
        {
            target.Append("&X-Amz-Security-Token=").Append(Uri.EscapeDataString(token));
        }

        var unsigned = target.Append("&X-Amz-SignedHeaders=").Append(Uri.EscapeDataString(names)).ToString();
        var key = credential.GetSigningKey(amzDate.AsSpan(0, 8), region, Service);
        return unsigned + "&X-Amz-Signature=" + Sign(method, unsigned, signed, names, PayloadHash.Unsigned, amzDate, scope, key);
    }

    private string Scope(string amzDate) => $"{amzDate.AsSpan(0, 8)}/{region}/{Service}/aws4_request";

    // Lower-case names in byte order; several values of one name joined.
    private static List<KeyValuePair<string, string>> Canonical(List<KeyValuePair<string, string>> headers)
    {
        for (var i = 0; i < headers.Count; i++)
        {
            headers[i] = new(headers[i].Key.ToLowerInvariant(), headers[i].Value.Trim());
        }

        // Insertion, because it keeps the order of equal names and the list is short.
        for (var i = 1; i < headers.Count; i++)
        {
            var header = headers[i];
            var j = i;
            for (; j > 0 && string.CompareOrdinal(headers[j - 1].Key, header.Key) > 0; j--)
            {
                headers[j] = headers[j - 1];
            }

            headers[j] = header;
        }

        for (var i = headers.Count - 1; i > 0; i--)
        {
            if (headers[i].Key == headers[i - 1].Key)
            {
                headers[i - 1] = new(headers[i].Key, $"{headers[i - 1].Value},{headers[i].Value}");
                headers.RemoveAt(i);
            }
        }

        return headers;
    }

    private static string Names(List<KeyValuePair<string, string>> headers)
    {
        var names = new StringBuilder(128);
        foreach (var (name, _) in headers)
        {
            names.Append(names.Length > 0 ? ";" : "").Append(name);
        }

        return names.ToString();
    }

    private static string Sign(
        string method, string rawTarget, List<KeyValuePair<string, string>> headers, string names, string payloadHash, string amzDate, string scope, SigningKey key)
    {
        var canonical = new Utf8Builder(stackalloc byte[1024]);
        var toSign = new Utf8Builder(stackalloc byte[256]);
        try
        {
            Build(ref canonical, method, rawTarget, headers, names, payloadHash);
            Span<byte> hash = stackalloc byte[CanonicalRequest.HashLength];
            Sha256.Hash(canonical.Written, hash);
            CanonicalRequest.AppendStringToSign(ref toSign, amzDate, scope, hash);
            key.Sign(toSign.Written, hash);
            return Convert.ToHexStringLower(hash);
        }
        finally
        {
            toSign.Dispose();
            canonical.Dispose();
        }
    }

    private static void Build(
        ref Utf8Builder canonical, string method, string rawTarget, List<KeyValuePair<string, string>> headers, string names, string payloadHash)
    {
        // Same order as SignatureVerifier.TryBuild; change both.
        var question = rawTarget.IndexOf('?');
        var path = question < 0 ? rawTarget : rawTarget.AsSpan(0, question);
        var query = question < 0 ? new S3Query("", 0, 0) : new S3Query(rawTarget, question + 1, rawTarget.Length - question - 1);
        canonical.Append(method);
        canonical.Append((byte)'\n');
        var valid = CanonicalRequest.TryAppendPath(ref canonical, path, asSent: false);
        canonical.Append((byte)'\n');
        valid &= CanonicalRequest.TryAppendQuery(ref canonical, query, asSent: false);
        if (!valid)
        {
            throw new ArgumentException("The target has broken escapes.", nameof(rawTarget));
        }

        canonical.Append((byte)'\n');
        foreach (var (name, value) in headers)
        {
            CanonicalRequest.AppendHeader(ref canonical, name, value);
        }

        canonical.Append((byte)'\n');
        canonical.Append(names);
        canonical.Append((byte)'\n');
        canonical.Append(payloadHash);
    }
}
