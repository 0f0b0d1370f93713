using Proxy.S3.Errors;
using Proxy.S3.Requests;
using Proxy.Server.Operations.Spanning;
using Proxy.Server.Requests;
using Proxy.Server.Routing;

namespace Proxy.Server.Operations;

/// <summary>One S3 operation on a backend we call ourselves: decode, one call on the waist, encode.</summary>
/// <remarks>Implementations are stateless and thread-safe.</remarks>
internal interface IOperation
{
    /// <exception cref="S3Exception">What the client should see instead.</exception>
    ValueTask AnswerAsync(S3Request request);
}

/// <summary>What a credential must be allowed for an operation.</summary>
internal enum Access
{
    /// <summary>Any valid signature; the answer itself names only what the credential may see.</summary>
    SignedIn,

    /// <summary>Something in the bucket.</summary>
    SomeOfBucket,

    /// <summary>The prefix that the listing names.</summary>
    List,

    Read,
    Write,
}

/// <summary>The table of operations: who may, who answers on the local store; everything on a remote backend that is no cached read is forwarded.</summary>
internal sealed class OperationTable
{
    private readonly Row[] _rows = new Row[Enum.GetValues<S3Operation>().Length];
    private readonly IOperation _forwarded;
    private readonly IOperation _getObject;
    private readonly BackendRouter _router;
    private readonly IReadOnlyDictionary<S3Operation, ISpanningOperation> _spanning;

    /// <param name="getObject">GET and HEAD of an object on any backend, through the cache.</param>
    /// <param name="forwarded">Everything else on a remote backend.</param>
    /// <param name="spanning">Asked first where there are several backends.</param>
    /// <param name="local">The operations of the local store.</param>
    public OperationTable(
        BackendRouter router, IOperation getObject, IOperation forwarded, IReadOnlyDictionary<S3Operation, ISpanningOperation> spanning,
        IEnumerable<(S3Operation Operation, Access Access, IOperation Answer)> local)
    {
        _router = router;
        _spanning = spanning;
        _getObject = getObject;
        _forwarded = forwarded;
        Array.Fill(_rows, new Row(Access.Write, null));
        foreach (var (operation, access, answer) in local)
        {
            _rows[(int)operation] = new Row(access, answer);
        }
    }

    /// <exception cref="S3Exception">AccessDenied 403.</exception>
    public void Authorize(S3Request request)
    {
        var target = request.Target;
        var policy = request.Auth.Credential!.Policy;
        var access = request.Operation == S3Operation.Other && !OperationResolver.MayMutateKey(request.Method, target) && request.Method is "GET" or "HEAD"
            ? Access.Read
            : _rows[(int)request.Operation].Access;
        var allowed = access switch
        {
            Access.SignedIn => true,
            Access.SomeOfBucket => policy.AllowsSomeOf(target.BucketSpan),
            // Of two prefixes, stores differ in which one they list.
            Access.List => policy.Allows(target.BucketSpan, target.Query.Count("prefix") == 1 ? target.Query.Get("prefix") : "", write: false),
            Access.Read => policy.Allows(target.BucketSpan, target.KeySpan, write: false),
            _ => policy.Allows(target.BucketSpan, target.KeySpan, write: true),
        };
        if (allowed && request.Operation == S3Operation.Other && OperationResolver.MayMutateUnnamedKeys(request.Method, target, request.Headers))
        {
            // An archive is unpacked, and a rename takes its source, wherever the backend is told to: only for who may write the whole bucket.
            allowed = policy.Allows(target.BucketSpan, "", write: true);
        }

        if (!allowed)
        {
            throw new S3Exception(S3ErrorCode.AccessDenied, request.Resource);
        }
    }

    public ValueTask AnswerAsync(S3Request request)
    {
        if (request.Operation is S3Operation.GetObject or S3Operation.HeadObject)
        {
            return _getObject.AnswerAsync(request);
        }

        // A backend names all its buckets to us; who may not see them all is answered from the merged list, which leaves out the others.
        var isSpanning = !_router.IsSingle || (request.Operation == S3Operation.ListBuckets && !request.Auth.Credential!.Policy.AllowsSomeOfAll);
        return isSpanning && _spanning.TryGetValue(request.Operation, out var spanning) ? AnswerSpanningAsync(request, spanning) : AnswerByBackendAsync(request);
    }

    private async ValueTask AnswerSpanningAsync(S3Request request, ISpanningOperation spanning)
    {
        if (!await spanning.TryAnswerAsync(request))
        {
            await AnswerByBackendAsync(request);
        }
    }

    private ValueTask AnswerByBackendAsync(S3Request request)
    {
        if (request.Backend is RemoteS3Backend)
        {
            return _forwarded.AnswerAsync(request);
        }

        if (request.Operation == S3Operation.Other)
        {
            request.Operation = OperationResolver.ResolveLocal(request.Method, request.Target, request.Headers);
        }

        return _rows[(int)request.Operation].Answer is { } operation ? operation.AnswerAsync(request) : throw new S3Exception(S3ErrorCode.NotImplemented, request.Resource);
    }

    private sealed record Row(Access Access, IOperation? Answer);
}
