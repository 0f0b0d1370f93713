namespace Proxy.S3.Requests;

/// <summary>The headers of one request, whatever server or test holds them.</summary>
/// <remarks>Implemented by a struct over the server's own dictionary; methods take it as a generic argument, so that the hot path boxes nothing.</remarks>
public interface IRequestHeaders
{
    /// <summary>The value of a header; several lines of one name are joined by a comma. Null when absent. Names are case-insensitive.</summary>
    string? this[string name] { get; }

    /// <summary>Shows every header name once, in any order, until the visitor has seen enough.</summary>
    void VisitNames<TVisitor>(ref TVisitor visitor)
        where TVisitor : struct, IHeaderNameVisitor;
}

/// <summary>Looks at header names one by one.</summary>
public interface IHeaderNameVisitor
{
    /// <returns>False to stop.</returns>
    bool Visit(string name);
}

/// <summary>Headers in a dictionary: for the signer's callers, tests and the bench.</summary>
public sealed class HeaderTable : Dictionary<string, string>, IRequestHeaders
{
    public HeaderTable()
        : base(StringComparer.OrdinalIgnoreCase)
    {
    }

    string? IRequestHeaders.this[string name] => TryGetValue(name, out var value) ? value : null;

    public void VisitNames<TVisitor>(ref TVisitor visitor)
        where TVisitor : struct, IHeaderNameVisitor
    {
        foreach (var name in Keys)
        {
            if (!visitor.Visit(name))
            {
                return;
            }
        }
    }
}
