using Proxy.Server.Requests;

namespace Proxy.Server.Operations.Spanning;

/// <summary>An operation that may concern more than the one backend its request was routed to. Asked first, unless one backend holds everything.</summary>
internal interface ISpanningOperation
{
    /// <returns>False when the routed backend can do it alone.</returns>
    ValueTask<bool> TryAnswerAsync(S3Request request);
}
