using Proxy.S3.Requests;

namespace Proxy.Server.Requests;

/// <summary>Kestrel's request headers as Proxy.S3 sees them; a struct, so that generic code over it boxes nothing.</summary>
internal readonly struct KestrelHeaders(IHeaderDictionary headers) : IRequestHeaders
{
    public string? this[string name]
    {
        get
        {
            var values = headers[name];
            return values.Count switch
            {
                0 => null,
                1 => values[0],
                _ => string.Join(',', values.ToArray()),
            };
        }
    }

    public void VisitNames<TVisitor>(ref TVisitor visitor)
        where TVisitor : struct, IHeaderNameVisitor
    {
        foreach (var header in headers)
        {
            if (!visitor.Visit(header.Key))
            {
                return;
            }
        }
    }
}
