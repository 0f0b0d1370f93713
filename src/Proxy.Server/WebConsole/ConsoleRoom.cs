using Proxy.Server.Admin;

namespace Proxy.Server.WebConsole;

/// <summary>What the pages look at and act on. Furnished once, before the first page is served.</summary>
internal sealed class ConsoleRoom
{
    public AdminService Admin { get; private set; } = null!;

    public Sessions Sessions { get; private set; } = null!;

    public History History { get; private set; } = null!;

    public CatalogView Catalog { get; private set; } = null!;

    public PageTurns Turns { get; } = new();

    public void Furnish(AdminService admin, Sessions sessions, History history)
        => (Admin, Sessions, History, Catalog) = (admin, sessions, history, new CatalogView(() => admin.Cache.Admin.Enumerate(""), TimeProvider.System));
}

/// <summary>Who looks at this page: handed from the request that opened it to the circuit that keeps it alive.</summary>
/// <param name="Id">Of the session; empty when nobody is signed in.</param>
public sealed record Visitor(string Id, string AccessKey);
