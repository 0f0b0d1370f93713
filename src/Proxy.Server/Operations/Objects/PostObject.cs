using System.Buffers;
using System.Text;
using Microsoft.AspNetCore.WebUtilities;
using Microsoft.Net.Http.Headers;
using Proxy.Backends.Local.Bodies;
using Proxy.S3.Auth;
using Proxy.S3.Errors;
using Proxy.S3.Requests;
using Proxy.S3.Xml;
using Proxy.Server.Requests;

namespace Proxy.Server.Operations.Objects;

/// <summary>POST of a browser form: verified by its signed policy, then carried out as the PUT it stands for, on any backend.</summary>
/// <remarks>The file's length is known only at its end, so it waits in a temporary file; forms are for people, not for Milvus.</remarks>
internal sealed class PostObject(CredentialTable credentials, TimeProvider time)
{
    private const int MaxFieldBytes = 64 << 10;
    private const int MaxFields = 100;

    /// <summary>Of all fields before the file, names and values: nobody has signed anything yet. S3 takes 20 KB; a policy alone may be <see cref="MaxFieldBytes"/> here.</summary>
    private const int MaxFormBytes = 128 << 10;

    /// <summary>RFC 2046, section 5.1.1.</summary>
    private const int MaxBoundaryLength = 70;
    private const int CopyBytes = 64 << 10;

    // What is not implemented is passed on too: the PUT refuses it, where to leave it out would be a lie.
    private static readonly string[] PassedOn = ["x-amz-meta-", "x-amz-checksum-", "x-amz-server-side-encryption", "x-amz-object-lock-", "x-amz-grant-"];

    private static readonly HashSet<string> OfTheRequest = new(StringComparer.OrdinalIgnoreCase) { "Host", "Connection", "Content-Length", "Expect", "User-Agent", "Origin", "traceparent", "tracestate" };

    /// <summary>Reads the form up to its file, and turns the request into the PUT it means.</summary>
    /// <param name="put">Carries out a PUT request.</param>
    /// <exception cref="S3Exception">What the policy refuses; EntityTooSmall, EntityTooLarge, InvalidArgument, MalformedXML 400.</exception>
    public async ValueTask AnswerAsync(S3Request request, Func<S3Request, ValueTask> put)
    {
        var http = request.Http.Request;
        var boundary = MediaTypeHeaderValue.TryParse(http.ContentType, out var type) ? HeaderUtilities.RemoveQuotes(type.Boundary).Value : null;
        if (boundary is not { Length: > 0 and <= MaxBoundaryLength })
        {
            throw new S3Exception(S3ErrorCode.MalformedPostRequest, request.Resource);
        }

        var fields = new Dictionary<string, string>(StringComparer.OrdinalIgnoreCase);
        var left = MaxFormBytes;
        var reader = new MultipartReader(boundary, http.Body) { BodyLengthLimit = S3Limits.MaxPutBytes };
        while (await OfTheFormAsync(request, async () => await reader.ReadNextSectionAsync(request.Aborted)) is { } section)
        {
            var disposition = section.GetContentDispositionHeader();
            var name = HeaderUtilities.RemoveQuotes(disposition?.Name ?? "").Value ?? "";
            if (name.Equals("file", StringComparison.OrdinalIgnoreCase))
            {
                await StoreAsync(request, fields, section, HeaderUtilities.RemoveQuotes(disposition!.FileName).Value ?? "", put);
                return;
            }

            left -= name.Length;
            var (value, bytes) = await OfTheFormAsync(request, () => ReadFieldAsync(section.Body, left, request));
            left -= bytes;
            fields[name.ToLowerInvariant()] = value;
            if (fields.Count > MaxFields)
            {
                throw new S3Exception(S3ErrorCode.InvalidRequest, request.Resource, "The form has too many fields.");
            }
        }

        throw new S3Exception(S3ErrorCode.InvalidArgument, request.Resource, "POST requires exactly one file upload per request.");
    }

    /// <summary>What fails in reading the form is the form's fault; nothing else is.</summary>
    private static async ValueTask<T> OfTheFormAsync<T>(S3Request request, Func<ValueTask<T>> read)
    {
        try
        {
            return await read();
        }
        catch (Exception e) when (e is InvalidDataException or IOException)
        {
            throw new S3Exception(S3ErrorCode.MalformedPostRequest, request.Resource, innerException: e);
        }
    }

    private async ValueTask StoreAsync(S3Request request, Dictionary<string, string> fields, MultipartSection file, string fileName, Func<S3Request, ValueTask> put)
    {
        if (fields.GetValueOrDefault("key") is not { Length: > 0 } key)
        {
            throw PostPolicy.MissingField("key");
        }

        // The policy is asked about what is done: of the bucket that is written, whatever a field of the form calls it …
        fields["bucket"] = request.Target.Bucket;

        // … and, S3 filling in the file name first, of the key that is stored.
        fileName = fileName[(fileName.AsSpan().LastIndexOfAny('/', '\\') + 1)..];
        foreach (var (name, value) in fields.ToList())
        {
            fields[name] = Fill(value, fileName, name == "key" ? S3Limits.MaxKeyBytes : MaxFieldBytes) ?? throw (name == "key"
                ? new S3Exception(S3ErrorCode.KeyTooLongError, request.Resource)
                : new S3Exception(S3ErrorCode.InvalidRequest, request.Resource, "A form field is too large."));
        }

        key = fields["key"];
        var policy = PostPolicy.Verify(fields, credentials, time);
        if (!policy.Credential.Policy.Allows(request.Target.BucketSpan, key, write: true))
        {
            throw new S3Exception(S3ErrorCode.AccessDenied, request.Resource);
        }

        await using var spool = OpenSpool(request);
        var (min, max) = policy.ContentLengthRange ?? (0, S3Limits.MaxPutBytes);
        var buffer = new byte[CopyBytes];
        while (await OfTheFormAsync(request, () => file.Body.ReadAsync(buffer, request.Aborted)) is > 0 and var read)
        {
            if (spool.Position + read > max)
            {
                throw new S3Exception(S3ErrorCode.EntityTooLarge, request.Resource); // whoever holds a form for a small file fills no disk with it
            }

            try
            {
                await spool.WriteAsync(buffer.AsMemory(0, read), request.Aborted);
            }
            catch (IOException refused)
            {
                throw DiskRefused(request, refused);
            }
        }

        if (spool.Position < min)
        {
            throw new S3Exception(S3ErrorCode.EntityTooSmall, request.Resource);
        }

        spool.Position = 0;
        BecomePut(request, fields, key, spool, policy.Credential);
        if (OperationResolver.Resolve(request.Method, request.Target, request.Headers) != S3Operation.PutObject)
        {
            // A form is asked to write its one key; a field that makes the backend do more than that is not passed on.
            throw new S3Exception(S3ErrorCode.NotImplemented, request.Resource);
        }

        await put(request);
        await AnswerAsPostAsync(request, fields, key);
    }

    /// <summary>A file that nobody else sees and that goes with us, however we end: where the system can, it has lost its name before it holds a byte.</summary>
    private static FileStream OpenSpool(S3Request request)
    {
        try
        {
            var path = Path.GetTempFileName();

            // Without a buffer: what the disk refuses is told where it is written.
            var options = FileOptions.Asynchronous | (OperatingSystem.IsWindows() ? FileOptions.DeleteOnClose : FileOptions.None);
            var spool = new FileStream(path, new FileStreamOptions { Mode = FileMode.Create, Access = FileAccess.ReadWrite, Options = options, BufferSize = 0 });
            if (!OperatingSystem.IsWindows())
            {
                File.Delete(path);
            }

            return spool;
        }
        catch (Exception refused) when (refused is IOException or UnauthorizedAccessException)
        {
            throw DiskRefused(request, refused);
        }
    }

    private static S3Exception DiskRefused(S3Request request, Exception e) => DiskErrors.IsFull(e)
        ? new S3Exception(S3ErrorCode.SlowDown, request.Resource, "The proxy's disk for temporary files is full.", e)
        : new S3Exception(S3ErrorCode.InternalError, request.Resource, "The proxy's disk for temporary files refused the form's file.", e);

    /// <summary>Puts the file's name in its place; null when that makes it longer than it may be. Nobody has signed anything yet, so the length is known before it is built.</summary>
    private static string? Fill(string value, string fileName, int maxLength)
    {
        const string Place = "${filename}";
        var places = value.AsSpan().Count(Place);
        return value.Length + (long)places * (fileName.Length - Place.Length) <= maxLength ? value.Replace(Place, fileName, StringComparison.Ordinal) : null;
    }

    /// <summary>From here on every room sees the PUT that the form stands for.</summary>
    private static void BecomePut(S3Request request, Dictionary<string, string> fields, string key, Stream body, Credential credential)
    {
        var bucket = request.Target.Bucket;
        var http = request.Http.Request;
        http.Method = "PUT";
        http.Body = body;
        http.ContentLength = body.Length;

        // The policy was asked about the fields. What the POST's own headers say of an object nobody signed: a browser's Cache-Control is of this request.
        foreach (var name in http.Headers.Keys.Where(static name => !OfTheRequest.Contains(name)).ToList())
        {
            http.Headers.Remove(name);
        }

        foreach (var (name, value) in fields)
        {
            if (name is "content-type" or "cache-control" or "content-disposition" or "content-encoding" or "content-language" or "expires" or "x-amz-storage-class" or "x-amz-website-redirect-location"
                || Array.Exists(PassedOn, prefix => name.StartsWith(prefix, StringComparison.Ordinal)))
            {
                // No header can hold a line break; the next hop would read another header behind it.
                http.Headers[name] = value.AsSpan().IndexOfAny('\r', '\n', '\0') < 0 ? value
                    : throw new S3Exception(S3ErrorCode.InvalidArgument) { Details = [new("ArgumentName", name), new("ArgumentValue", value)] };
            }
        }

        if (fields.TryGetValue("tagging", out var tagging))
        {
            var tags = TaggingXml.Read(Encoding.UTF8.GetBytes(tagging));
            http.Headers["x-amz-tagging"] = string.Join('&', tags.Select(static tag => $"{Uri.EscapeDataString(tag.Key)}={Uri.EscapeDataString(tag.Value)}"));
        }

        request.BecomePut(S3Target.Parse($"/{bucket}/{Uri.EscapeDataString(key)}", host: null, Addressing.PathStyle), new AuthenticatedRequest
        {
            Credential = credential,
            Payload = PayloadMode.Unsigned,
        });
    }

    private static async ValueTask AnswerAsPostAsync(S3Request request, Dictionary<string, string> fields, string key)
    {
        var response = request.Response;
        if (response.HasStarted || response.StatusCode != StatusCodes.Status200OK)
        {
            return;
        }

        var bucket = request.Target.Bucket;
        var etag = response.Headers.ETag.ToString();
        var location = $"{request.Http.Request.Scheme}://{request.Header("Host")}/{bucket}/{Uri.EscapeDataString(key)}";
        if (fields.GetValueOrDefault("success_action_redirect") is { Length: > 0 } redirect && Uri.TryCreate(redirect, UriKind.Absolute, out var target) && target.Scheme is "http" or "https")
        {
            // In its escaped form: what no header can hold must not fail the answer to a file that is stored.
            response.StatusCode = StatusCodes.Status303SeeOther;
            response.Headers.Location = QueryHelpers.AddQueryString(target.AbsoluteUri, new Dictionary<string, string?> { ["bucket"] = bucket, ["key"] = key, ["etag"] = etag });
            return;
        }

        response.Headers.Location = location;
        switch (fields.GetValueOrDefault("success_action_status"))
        {
            case "201":
                await XmlAnswer.WriteAsync(request, (id: request.Id, location, etag), static (s, buffer) => PostResponseXml.Write(buffer, s.id, s.location, s.etag), StatusCodes.Status201Created);
                break;
            case "200":
                response.ContentLength = 0;
                break;
            default:
                response.ContentLength = null;
                response.StatusCode = StatusCodes.Status204NoContent;
                break;
        }
    }

    private static async ValueTask<(string Value, int Bytes)> ReadFieldAsync(Stream body, int leftOfForm, S3Request request)
    {
        var most = Math.Min(MaxFieldBytes, leftOfForm);
        if (most < 0)
        {
            throw new S3Exception(S3ErrorCode.MaxPostPreDataLengthExceeded, request.Resource);
        }

        var buffer = ArrayPool<byte>.Shared.Rent(most + 1);
        try
        {
            var length = await body.ReadAtLeastAsync(buffer.AsMemory(0, most + 1), most + 1, throwOnEndOfStream: false, request.Aborted);
            return length <= most ? (Encoding.UTF8.GetString(buffer, 0, length), length)
                : most < MaxFieldBytes ? throw new S3Exception(S3ErrorCode.MaxPostPreDataLengthExceeded, request.Resource)
                : throw new S3Exception(S3ErrorCode.InvalidRequest, request.Resource, "A form field is too large.");
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }
}
