using System.Buffers;
using System.Collections.Frozen;
using System.Security;
using System.Text;
using Proxy.Backends.Remote;
using Proxy.S3.Requests;

namespace Proxy.Server.Forwarding;

/// <summary>Gives a backend's XML answers the client's name of a renamed bucket.</summary>
/// <remarks>
/// Never in an object's bytes, whatever type they were given: in successes of operations that S3 answers with a document naming the bucket, in what turns out to be a
/// listing where no key was asked for, and in Error documents.
/// Only whole elements that hold the bucket's name, and the bucket at the front of a Resource, are replaced; text inside keys cannot look like either, since its
/// <c>&lt;</c> is escaped. In streamed answers (listings) only within their first 16 KiB: every store writes Name or Bucket before the entries.
/// Location of a completed upload becomes the object's address at the proxy, and the Location header of a new bucket its name there.
/// </remarks>
internal sealed class BucketNames
{
    private const int HeadBytes = 16 << 10;

    /// <summary>
    /// What is answered with a document that names the bucket, or with an Error under 200. Nothing that a backend which does not know the operation would answer with the
    /// object (attributes, tagging): what names no bucket need not be looked into.
    /// </summary>
    private static readonly FrozenSet<string> NamingOperations = FrozenSet.ToFrozenSet(
        [
            nameof(S3Operation.ListObjects), nameof(S3Operation.ListObjectsV2), nameof(S3Operation.ListMultipartUploads), nameof(S3Operation.ListParts),
            nameof(S3Operation.CreateMultipartUpload), nameof(S3Operation.CompleteMultipartUpload), nameof(S3Operation.CopyObject), nameof(S3Operation.UploadPartCopy),
            nameof(S3Operation.DeleteObjects), nameof(S3Operation.PostObject),
        ],
        StringComparer.Ordinal);

    private static readonly SearchValues<byte> NameEnds = SearchValues.Create(" \t\r\n/>"u8);

    private static readonly string[] Roots = ["Error", "ListBucketResult", "ListVersionsResult"];

    private readonly (string From, string To)[] _replacements;
    private readonly string _client;
    private readonly string? _address;

    private BucketNames(string backend, string client, string? address) => (_client, _address, _replacements) = (client, address,
    [
        ($"<Name>{backend}</Name>", $"<Name>{client}</Name>"),
        ($"<Bucket>{backend}</Bucket>", $"<Bucket>{client}</Bucket>"),
        ($"<BucketName>{backend}</BucketName>", $"<BucketName>{client}</BucketName>"),
        ($"<Resource>/{backend}/", $"<Resource>/{client}/"),
        ($"<Resource>/{backend}<", $"<Resource>/{client}<"),
        ($"<Resource>{backend}<", $"<Resource>{client}<"),
    ]);

    /// <summary>A known answer: every element of these names is about the bucket.</summary>
    private bool IsKnown { get; init; }

    /// <summary>A read of the bucket: no object's bytes, and perhaps a listing with a parameter that the proxy has no name for.</summary>
    private bool MayList { get; init; }

    /// <returns>Null when the bucket has one name.</returns>
    public static BucketNames? For(ForwardRequest request, RemoteBackend backend, HttpRequest asked)
        => request.Bucket is { } route && backend.MapBucket(route) is var there && (request.ClientBucket ?? route) is var client && client != there
            ? new BucketNames(there, client, request.Operation == nameof(S3Operation.CompleteMultipartUpload) ? AddressOf(asked, client, request.RawKey) : null)
            {
                IsKnown = NamingOperations.Contains(request.Operation),
                MayList = request.RawKey is null && HttpMethods.IsGet(asked.Method),
            }
            : null;

    /// <summary>Whether there is a document to look into. Whether it is one is seen in <see cref="Replace"/>.</summary>
    public bool MayBeIn(HttpResponseMessage response)
        => (IsKnown || MayList || !response.IsSuccessStatusCode)
            && response.Content.Headers.ContentEncoding.Count == 0 && response.Content.Headers.NonValidated.TryGetValues("Content-Type", out var type)
            && type.ToString().Contains("xml", StringComparison.OrdinalIgnoreCase);

    public ReadOnlyMemory<byte> Replace(ReadOnlyMemory<byte> document)
    {
        if (!IsKnown && !Roots.Contains(RootOf(document.Span)))
        {
            return document; // a configuration, whose own Name and Bucket elements mean other things, or a page of whoever stands before the store
        }

        // Latin-1 keeps every byte as it is; bucket names are ASCII.
        var text = Encoding.Latin1.GetString(document.Span);
        foreach (var (from, to) in _replacements)
        {
            text = text.Replace(from, to, StringComparison.Ordinal);
        }

        if (_address is not null && text.IndexOf("<Location>", StringComparison.Ordinal) is var start and >= 0 && text.IndexOf("</Location>", start, StringComparison.Ordinal) is var end and >= 0)
        {
            text = $"{text.AsSpan(0, start)}<Location>{_address}{text.AsSpan(end)}";
        }

        return Encoding.Latin1.GetBytes(text);
    }

    /// <summary>CreateBucket answers with the new bucket's path.</summary>
    public void ReplaceIn(IHeaderDictionary headers, ForwardRequest request)
    {
        if (request.Operation == nameof(S3Operation.CreateBucket) && headers.Location.Count > 0)
        {
            headers.Location = "/" + _client;
        }
    }

    /// <summary>The name of a document's first element, by its first bytes.</summary>
    private static string RootOf(ReadOnlySpan<byte> head)
    {
        var text = head.TrimStart(" \t\r\n\uFEFF"u8);
        if (text.StartsWith("<?xml"u8) && text.IndexOf("?>"u8) is var end and >= 0)
        {
            text = text[(end + 2)..].TrimStart(" \t\r\n"u8);
        }

        return text.StartsWith("<"u8) && text.IndexOfAny(NameEnds) is var length and > 1 ? Encoding.Latin1.GetString(text[1..length]) : "";
    }

    /// <summary>As the client wrote it; ready to stand in XML.</summary>
    private static string? AddressOf(HttpRequest asked, string bucket, string? rawKey)
    {
        var host = asked.Host.Value ?? "";
        var path = host.StartsWith(bucket + ".", StringComparison.OrdinalIgnoreCase) ? rawKey : $"{bucket}/{rawKey}";
        return SecurityElement.Escape($"{asked.Scheme}://{host}/{path}");
    }

    /// <summary>Puts a content in place of the response's own that begins with the replaced head and goes on as it comes.</summary>
    /// <returns>How many bytes longer the body has become.</returns>
    public async ValueTask<int> ReplaceInStreamAsync(HttpResponseMessage response, CancellationToken cancellation)
    {
        var rest = await response.Content.ReadAsStreamAsync(cancellation);
        var head = new byte[HeadBytes];
        var length = await rest.ReadAtLeastAsync(head, HeadBytes, throwOnEndOfStream: false, cancellation);
        var replaced = Replace(head.AsMemory(0, length));
        HeadFirst.PutBack(response, replaced, rest);
        return replaced.Length - length;
    }
}
