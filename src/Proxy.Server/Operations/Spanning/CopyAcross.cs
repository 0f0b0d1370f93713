using System.Globalization;
using Proxy.Cache;
using Proxy.S3.Errors;
using Proxy.S3.Objects;
using Proxy.S3.Requests;
using Proxy.S3.Streaming;
using Proxy.S3.Xml;
using Proxy.Server.Requests;
using Proxy.Server.Routing;

namespace Proxy.Server.Operations.Spanning;

/// <summary>CopyObject and UploadPartCopy whose source lies in another backend: read from the one, written to the other, never held whole.</summary>
/// <remarks>
/// The source is one GET of one version, so a copy that breaks off stores nothing. As within one store, a source beyond 5 GiB must be copied by parts.
/// Metadata and tags follow the request's directives; ACLs, encryption and versions of the source do not cross. Once the source is open the client is kept waiting by
/// <see cref="LateAnswer"/>.
/// </remarks>
internal sealed class CopyAcross(ObjectCache cache, BackendRouter router, TimeProvider time) : ISpanningOperation
{
    // What a PUT may say of an object and what a read of it answers with.
    private static readonly string[] Kept = ["cache-control", "content-disposition", "content-encoding", "content-language", "expires", "x-amz-website-redirect-location"];

    private const string SourceOwner = "x-amz-source-expected-bucket-owner";

    // What a PUT may say besides of its object: for the destination alone.
    private static readonly string[] ForDestination = ["x-amz-acl", "x-amz-expected-bucket-owner", "x-amz-request-payer"];

    public async ValueTask<bool> TryAnswerAsync(S3Request request)
    {
        var source = CopySource.Locate(request);
        var from = CopySource.Resolve(router, source);
        if (from.IsSameStore(request.Backend))
        {
            return false;
        }

        ForwardRefusals.RefuseManagement(request);
        source = CopySource.Read(request); // a version of the source cannot be named across backends
        if (request.Header(SourceOwner) is not null)
        {
            throw new S3Exception(S3ErrorCode.NotImplemented, request.Resource) { Details = [new("Header", SourceOwner)] }; // reads of ours name no owner: it would not be checked
        }

        try
        {
            await (request.Operation == S3Operation.UploadPartCopy ? CopyPartAsync(request, from, source) : CopyObjectAsync(request, from, source));
        }
        catch (S3Exception e)
        {
            throw CopySource.AsCopyError(e);
        }

        return true;
    }

    private async ValueTask CopyObjectAsync(S3Request request, Backend from, ObjectId source)
    {
        var replaceMetadata = CopySource.IsReplace(request, "x-amz-metadata-directive");
        var replaceTags = CopySource.IsReplace(request, "x-amz-tagging-directive");
        var uploaded = Upload.Options(request);
        await using var body = await from.Source.GetObjectAsync(source, new ObjectReadOptions { Preconditions = CopySource.Conditions(request) }, request.Aborted);
        RefuseTooLarge(request, body.Span.Length);
        var tags = replaceTags ? uploaded.Tags : await TagsAsync(from, source, body.Info, request.Aborted);
        var options = uploaded with
        {
            ContentType = replaceMetadata ? uploaded.ContentType : body.Info.ContentType,
            Headers = replaceMetadata ? uploaded.Headers : [.. body.Info.Headers.Where(IsMetadata), .. uploaded.Headers.Where(h => h.Key == "x-amz-storage-class")],
            Tags = tags,
        };
        var copying = LocalMutation.RunAsync(cache, request.Id, async mutation =>
        {
            var stored = await PutAsync(request, body, options);
            mutation.Changed();
            return stored;
        });
        var (etag, modified) = await LateAnswer.WaitAsync(request, copying.AsTask(), time);
        await XmlAnswer.WriteAsync(request, (etag, modified), static (s, buffer) => ObjectXml.WriteCopyObject(buffer, s.etag, s.modified, checksums: null));
    }

    private async ValueTask CopyPartAsync(S3Request request, Backend from, ObjectId source)
    {
        var (number, uploadId) = Upload.Part(request);
        var options = new ObjectReadOptions { Preconditions = CopySource.Conditions(request), Range = CopySource.Range(request) };
        await using var body = await from.Source.GetObjectAsync(source, options, request.Aborted);
        if (options.Range?.Last >= body.Info.Size)
        {
            throw new S3Exception(S3ErrorCode.InvalidRange, "/" + source); // a read is given what there is; a part would be shorter than was asked for
        }

        RefuseTooLarge(request, body.Span.Length);
        var part = await LateAnswer.WaitAsync(request, PutPartAsync(request, body, number, uploadId).AsTask(), time);
        await XmlAnswer.WriteAsync(request, part, static (copied, buffer) => ObjectXml.WriteCopyPart(buffer, copied));
    }

    private async ValueTask<PartInfo> PutPartAsync(S3Request request, ObjectBody body, int number, string uploadId)
    {
        if (request.Backend is LocalBackend local)
        {
            return await local.Store.UploadPartAsync(request.Id, uploadId, number, new UploadContent(new SourceStream(body.Content), body.Span.Length, static () => null), request.Aborted);
        }

        var remote = (RemoteS3Backend)request.Backend;
        var query = string.Create(CultureInfo.InvariantCulture, $"partNumber={number}&uploadId={Uri.EscapeDataString(uploadId)}");
        var answer = await remote.Remote.Uploads.SendAsync("UploadPart", "PUT", There(request, remote), query, Own(request, but: "x-amz-acl"), new SourceStream(body.Content), body.Span.Length, request.Aborted);
        return new PartInfo(number, body.Span.Length, answer.ETag ?? throw NoETag(request), time.GetUtcNow());
    }

    private static IReadOnlyList<KeyValuePair<string, string>> Own(S3Request request, string? but = null)
        => [.. ForDestination.Where(name => name != but && request.Header(name) is not null).Select(name => KeyValuePair.Create(name, request.Header(name)!))];

    private async ValueTask<(string ETag, DateTimeOffset Modified)> PutAsync(S3Request request, ObjectBody body, PutOptions options)
    {
        if (request.Backend is LocalBackend local)
        {
            var stored = await local.Store.PutObjectAsync(request.Id, new UploadContent(new SourceStream(body.Content), body.Span.Length, static () => null), options, request.Aborted);
            return (stored.ETag, stored.LastModified);
        }

        var remote = (RemoteS3Backend)request.Backend;
        var headers = new List<KeyValuePair<string, string>>([.. options.Headers, .. Own(request)]);
        Add("content-type", options.ContentType);
        Add("if-match", options.IfMatch);
        Add("if-none-match", options.IfNoneMatch);
        if (options.Tags.Count > 0)
        {
            Add("x-amz-tagging", string.Join('&', options.Tags.Select(tag => $"{Uri.EscapeDataString(tag.Key)}={Uri.EscapeDataString(tag.Value)}")));
        }

        var answer = await remote.Remote.Uploads.SendAsync("PutObject", "PUT", There(request, remote), null, headers, new SourceStream(body.Content), body.Span.Length, request.Aborted);
        return (answer.ETag ?? throw NoETag(request), time.GetUtcNow());

        void Add(string name, string? value)
        {
            if (value is not null)
            {
                headers.Add(new(name, value));
            }
        }
    }

    private static async ValueTask<IReadOnlyList<KeyValuePair<string, string>>> TagsAsync(Backend from, ObjectId source, ObjectInfo info, CancellationToken cancellation)
    {
        if (from is LocalBackend local)
        {
            return await local.Store.GetTaggingAsync(source, cancellation);
        }

        // A store that has tags to give says how many; one that says nothing is not asked.
        if (!info.Headers.Any(header => header.Key.Equals("x-amz-tagging-count", StringComparison.OrdinalIgnoreCase) && header.Value != "0"))
        {
            return [];
        }

        var remote = (RemoteS3Backend)from;
        var answer = await remote.Remote.Uploads.SendAsync(
            "GetObjectTagging", "GET", new ObjectId(remote.RouteBucket(source.Bucket), source.Key), "tagging=", [], body: null, length: 0, cancellation);
        return TaggingXml.Read(answer.Body);
    }

    private static bool IsMetadata(KeyValuePair<string, string> header)
        => header.Key.StartsWith("x-amz-meta-", StringComparison.OrdinalIgnoreCase) || Kept.Contains(header.Key, StringComparer.OrdinalIgnoreCase);

    private static ObjectId There(S3Request request, RemoteS3Backend remote) => new(remote.RouteBucket(request.Target.Bucket), request.Target.Key);

    private static void RefuseTooLarge(S3Request request, long length)
    {
        if (length > S3Limits.MaxPutBytes)
        {
            throw new S3Exception(
                S3ErrorCode.InvalidRequest, request.Resource,
                $"The specified copy source is larger than the maximum allowable size for a copy source: {S3Limits.MaxPutBytes.ToString(CultureInfo.InvariantCulture)}");
        }
    }

    private static S3Exception NoETag(S3Request request) => new(S3ErrorCode.InternalError, request.Resource, "The backend stored the copy without naming its version.");

    /// <summary>Says of a source that broke off what a client may do about it; to the destination it is an upload that was never whole.</summary>
    private sealed class SourceStream(Stream inner) : ForwardOnlyStream
    {
        public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            try
            {
                return await inner.ReadAsync(buffer, cancellationToken);
            }
            catch (IOException broken)
            {
                throw new S3Exception(S3ErrorCode.SlowDown, message: "The source of the copy broke off.", innerException: broken);
            }
        }
    }
}
