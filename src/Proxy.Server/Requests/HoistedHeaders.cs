using Proxy.S3.Errors;
using Proxy.S3.Requests;

namespace Proxy.Server.Requests;

/// <summary>Headers that an SDK moved into a presigned URL's query (metadata, tags, storage class): from here on they are headers again, as S3 takes them.</summary>
/// <remarks>Only after the signature was verified, which covers the query. A header that was really sent stands.</remarks>
internal static class HoistedHeaders
{
    public static void PutBack(S3Request request)
    {
        var headers = request.Http.Request.Headers;
        foreach (var pair in request.Target.Query)
        {
            if (OperationResolver.IsHoisted(pair.RawName) && pair.RawName.ToString() is var name && !headers.ContainsKey(name) && request.Target.Query.Get(name) is { } value)
            {
                // No header can hold a line break; the next hop would read another header behind it.
                headers[name] = value.AsSpan().IndexOfAny('\r', '\n', '\0') < 0 ? value
                    : throw new S3Exception(S3ErrorCode.InvalidArgument, request.Resource) { Details = [new("ArgumentName", name), new("ArgumentValue", value)] };
            }
        }
    }
}
