using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;
using Proxy.Cache.Admin;
using Proxy.S3.Errors;
using Proxy.S3.Objects;

namespace Proxy.Server.Admin;

/// <summary>The HTTP admin API under <c>/api/v1</c>: JSON in, JSON out. docs/admin-api.md describes every call.</summary>
internal static class AdminApi
{
    public const string Root = "/api/v1";

    /// <summary>Calls with a body. It has to say that it is JSON: a page from elsewhere cannot say so without asking first.</summary>
    private static readonly PathString[] WithBody = [Root + "/purge", Root + "/warm", Root + "/pins"];

    public static void MapAdminApi(this WebApplication app, AdminService admin)
    {
        var api = app.MapGroup(Root).AddEndpointFilter(AnswerErrorsAsync);
        api.MapGet("/stats", () => Json(admin.Stats()));
        api.MapGet("/explain", (string bucket, string key) => Json(admin.Explain(new ObjectId(bucket, key))));
        api.MapGet("/check", async ([AsParameters] SelectionQuery query, CancellationToken cancellation) => Json(await admin.CheckAsync(query.ToSelection(), cancellation)));
        api.MapGet("/curve", () => Json(admin.Cache.Admin.Curve()));
        api.MapPost("/purge", async (SelectionBody body, HttpContext http) => Json(await admin.PurgeAsync(body.ToSelection(), Who(http), http.RequestAborted)));

        api.MapPost("/warm", (WarmBody body, HttpContext http) => admin.Warm(body.ToSelection(), body.CheckedRate(), body.Concurrency ?? WarmJobs.DefaultConcurrency, Who(http)) is { } job
            ? Results.Json(job, AdminJson.Options, statusCode: StatusCodes.Status202Accepted)
            : Error(StatusCodes.Status429TooManyRequests, $"{WarmJobs.MostKept} jobs wait already: cancel some, or wait for them."));
        api.MapGet("/jobs", () => Json(admin.Jobs.All()));
        api.MapGet("/jobs/{id}", (string id) => admin.Jobs.Find(id) is { } job ? Json(job) : NoJob(id));
        api.MapDelete("/jobs/{id}", (string id) => admin.Jobs.Cancel(id) ? Json(admin.Jobs.Find(id)) : NoJob(id));

        api.MapGet("/pins", () => Json(new PinList(admin.Cache.Admin.Pins, admin.Cache.Admin.PinState)));
        api.MapPost("/pins", (SelectionBody body, HttpContext http) => Json(admin.Pin(body.ToSelection(), Who(http))));
        api.MapDelete("/pins/{id}", (string id, HttpContext http) => admin.Unpin(id, Who(http)) ? Results.NoContent() : Error(StatusCodes.Status404NotFound, $"There is no pin {id}."));
        api.MapFallback((HttpContext http) => HttpMethods.IsPost(http.Request.Method) && WithBody.Contains(http.Request.Path) && !http.Request.HasJsonContentType()
            ? Error(StatusCodes.Status415UnsupportedMediaType, "Say that the body is JSON: Content-Type: application/json.")
            : Error(StatusCodes.Status404NotFound, "There is no such call: docs/admin-api.md lists them."));
    }

    /// <summary>Goes on; says what is wrong with a request whose body or query cannot be read, for which there is no call yet that could say it.</summary>
    public static async Task ServeAsync(HttpContext http, RequestDelegate next)
    {
        try
        {
            await next(http);
        }
        catch (BadHttpRequestException e) when (!http.Response.HasStarted)
        {
            var message = e.InnerException is JsonException json ? $"The body is not what this call takes: {json.Message}" : e.Message;
            await new AdminRefusal(e.StatusCode, message).WriteAsync(http);
        }
    }

    internal static IResult Error(int status, string message) => Results.Json(new ApiError(message), AdminJson.Options, statusCode: status);

    private static IResult Json<T>(T value) => Results.Json(value, AdminJson.Options);

    private static IResult NoJob(string id) => Error(StatusCodes.Status404NotFound, $"There is no job {id}; the last {WarmJobs.MostKept} are remembered.");

    private static string Who(HttpContext http) => AdminAccess.WhoOf(http);

    private static async ValueTask<object?> AnswerErrorsAsync(EndpointFilterInvocationContext context, EndpointFilterDelegate next)
    {
        try
        {
            return await next(context);
        }
        catch (SelectionException e)
        {
            return Error(StatusCodes.Status400BadRequest, e.Message);
        }
        catch (S3Exception e)
        {
            // What the backend says of a listing. Its 404 is the caller's bucket; anything else is the backend's trouble.
            var status = e.Code == S3ErrorCode.NoSuchBucket || e.Code == S3ErrorCode.NoSuchKey ? StatusCodes.Status404NotFound : StatusCodes.Status502BadGateway;
            return Error(status, $"The backend says {e.Code.Name}: {e.Message}");
        }
    }
}

internal sealed record PinList(IReadOnlyList<Pin> Pins, PinState State);

/// <summary>The request does not say which keys it means; the message says how to.</summary>
internal sealed class SelectionException(string message) : Exception(message);

/// <summary>A selection in a query string.</summary>
internal sealed record SelectionQuery
{
    public string? Bucket { get; init; }

    public string? Prefix { get; init; }

    public string? Key { get; init; }

    public long? Collection { get; init; }

    public long? Partition { get; init; }

    public long? Segment { get; init; }

    public long? Build { get; init; }

    public KeySelection ToSelection() => new SelectionBody(Bucket, Prefix, Key, Collection, Partition, Segment, Build).ToSelection();
}

/// <summary>A selection as JSON. A field that is misspelled would leave out what it was to narrow: <c>{"bucket": "b", "colection": 7}</c> would mean the bucket.</summary>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
internal record SelectionBody(string? Bucket, string? Prefix, string? Key, long? Collection, long? Partition, long? Segment, long? Build)
{
    /// <exception cref="SelectionException">No bucket, ids below zero, an empty key, or a key together with anything else.</exception>
    public KeySelection ToSelection()
    {
        if (string.IsNullOrEmpty(Bucket) || Bucket.Contains('/', StringComparison.Ordinal))
        {
            throw new SelectionException("Name a bucket: bucket, and then prefix, key, or Milvus ids (collection, partition, segment, build).");
        }

        if ((Collection | Partition | Segment | Build) < 0 || Collection < 0 || Partition < 0 || Segment < 0 || Build < 0)
        {
            throw new SelectionException("Milvus ids are positive numbers.");
        }

        if (Key is "")
        {
            throw new SelectionException("The key is empty: name one, or leave it out to select by prefix or Milvus ids.");
        }

        var selection = new KeySelection
        {
            Bucket = Bucket,
            Prefix = Prefix ?? "",
            Key = Key,
            Collection = Collection ?? 0,
            Partition = Partition ?? 0,
            Segment = Segment ?? 0,
            Build = Build ?? 0,
        };
        return selection.Key is not null && (selection.IsMilvus || selection.Prefix.Length > 0)
            ? throw new SelectionException("A key selects one object: leave prefix and Milvus ids out.")
            : selection;
    }
}

/// <param name="BytesPerSecond">Null is as fast as the backend gives.</param>
/// <param name="Concurrency">Objects at once; 1 to 32, 4 when left out.</param>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
internal sealed record WarmBody(
    string? Bucket, string? Prefix, string? Key, long? Collection, long? Partition, long? Segment, long? Build, long? BytesPerSecond, int? Concurrency)
    : SelectionBody(Bucket, Prefix, Key, Collection, Partition, Segment, Build)
{
    /// <exception cref="SelectionException">Not a rate.</exception>
    public long? CheckedRate() => BytesPerSecond switch
    {
        null => null,
        > 0 => BytesPerSecond,
        _ => throw new SelectionException(string.Create(CultureInfo.InvariantCulture, $"bytesPerSecond is {BytesPerSecond}: give a positive number, or leave it out for no limit.")),
    };
}
