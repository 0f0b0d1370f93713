using Proxy.Cache;
using Proxy.Server.Requests;
using Proxy.Server.Routing;

namespace Proxy.Server.Operations.Objects;

/// <summary>DELETE of one object: 204, also when it was not there.</summary>
internal sealed class DeleteObject(ObjectCache cache) : IOperation
{
    public async ValueTask AnswerAsync(S3Request request)
    {
        var store = ((LocalBackend)request.Backend).Store;
        await LocalMutation.RunAsync(cache, request.Id, async mutation =>
        {
            await store.DeleteObjectAsync(request.Id, request.Header("if-match"), request.Aborted);
            mutation.Changed();
            return true;
        });
        request.Response.StatusCode = StatusCodes.Status204NoContent;
    }
}
