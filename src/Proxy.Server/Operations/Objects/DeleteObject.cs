using System.Globalization;
using Proxy.Cache;
using Proxy.S3.Errors;
using Proxy.S3.Objects;
using Proxy.S3.Requests;
using Proxy.Server.Requests;
using Proxy.Server.Routing;

namespace Proxy.Server.Operations.Objects;

/// <summary>DELETE of one object: 204, also when it was not there.</summary>
internal sealed class DeleteObject(ObjectCache cache) : IOperation
{
    public async ValueTask AnswerAsync(S3Request request)
    {
        var conditions = Conditions(request);
        var store = ((LocalBackend)request.Backend).Store;
        await LocalMutation.RunAsync(cache, request.Id, async mutation =>
        {
            await store.DeleteObjectAsync(request.Id, conditions, request.Aborted);
            mutation.Changed();
            return true;
        });
        request.Response.StatusCode = StatusCodes.Status204NoContent;
    }

    /// <exception cref="S3Exception">InvalidArgument 400 for a time or size that is none: a condition must not be passed over.</exception>
    private static DeleteConditions Conditions(S3Request request) => new()
    {
        IfMatch = request.Header("if-match"),
        LastModified = request.Header("x-amz-if-match-last-modified-time") is not { } time ? null
            : HttpDate.TryParse(time, out var date) ? date
            : throw Invalid(request, "x-amz-if-match-last-modified-time", time),
        Size = request.Header("x-amz-if-match-size") is not { } text ? null
            : long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var size) ? size
            : throw Invalid(request, "x-amz-if-match-size", text),
    };

    private static S3Exception Invalid(S3Request request, string name, string value) =>
        new(S3ErrorCode.InvalidArgument, request.Resource) { Details = [new("ArgumentName", name), new("ArgumentValue", value)] };
}
