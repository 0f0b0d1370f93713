using Proxy.Cache;
using Proxy.S3.Requests;
using Proxy.S3.Xml;
using Proxy.Server.Requests;
using Proxy.Server.Routing;

namespace Proxy.Server.Operations.Objects;

/// <summary>GET, PUT and DELETE of an object's tags. A change of tags is a change of what HEAD answers (x-amz-tagging-count).</summary>
internal sealed class ObjectTagging(ObjectCache cache) : IOperation
{
    public async ValueTask AnswerAsync(S3Request request)
    {
        var store = ((LocalBackend)request.Backend).Store;
        var id = request.Id;
        if (request.Operation == S3Operation.GetObjectTagging)
        {
            KeyValuePair<string, string>[] tags = [.. (await store.GetTaggingAsync(id, request.Aborted)).OrderBy(static tag => tag.Key, StringComparer.Ordinal)];
            await XmlAnswer.WriteAsync(request, tags, static (set, buffer) => TaggingXml.Write(buffer, set));
            return;
        }

        var deletes = request.Operation == S3Operation.DeleteObjectTagging;
        var replacement = deletes ? [] : TaggingXml.Read(await RequestXml.ReadAsync(request, S3Limits.MaxSmallXmlBytes));
        await LocalMutation.RunAsync(cache, id, async mutation =>
        {
            await store.PutTaggingAsync(id, replacement, request.Aborted);
            mutation.Changed();
            return true;
        });
        request.Response.StatusCode = deletes ? StatusCodes.Status204NoContent : StatusCodes.Status200OK;
        if (!deletes)
        {
            request.Response.ContentLength = 0;
        }
    }
}
