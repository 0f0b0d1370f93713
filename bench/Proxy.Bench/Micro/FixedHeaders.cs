using Proxy.S3.Requests;

namespace Proxy.Bench.Micro;

/// <summary>A request's headers as the server's rooms see them.</summary>
internal sealed class FixedHeaders(IReadOnlyDictionary<string, string> values) : IRequestHeaders
{
    public string? this[string name] => values.GetValueOrDefault(name);

    public void VisitNames<TVisitor>(ref TVisitor visitor)
        where TVisitor : struct, IHeaderNameVisitor
    {
        foreach (var name in values.Keys)
        {
            if (!visitor.Visit(name))
            {
                return;
            }
        }
    }
}
