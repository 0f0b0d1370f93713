namespace Proxy.Server.Admin;

/// <summary>Stands before everything on :9001: health and metrics are open, all else asks <see cref="AdminAccess"/>.</summary>
internal static class AdminGate
{
    /// <summary>Open to anybody: probes, metrics, and what the sign-in page itself is made of (nothing of it tells anything about the data).</summary>
    private static readonly PathString[] Open = ["/health", "/metrics", "/signin", "/_content", "/_framework", "/console", "/favicon.ico"];

    public static void UseAdminGate(this WebApplication app, AdminAccess access) => app.Use(async (http, next) =>
    {
        Protect(http.Response.Headers);
        var path = http.Request.Path;
        if (Array.Exists(Open, open => path.StartsWithSegments(open, StringComparison.Ordinal)))
        {
            await next(http);
            return;
        }

        var isApi = path.StartsWithSegments(AdminApi.Root, StringComparison.Ordinal);
        var refusal = access.Admit(http);
        if (refusal is null && (isApi || AdminAccess.SessionOf(http) is not null))
        {
            await (isApi ? AdminApi.ServeAsync(http, next) : next(http));
        }
        else if (!isApi && HttpMethods.IsGet(http.Request.Method) && http.Request.Headers.Upgrade.Count == 0 && !path.StartsWithSegments("/_blazor", StringComparison.Ordinal))
        {
            // A person with a browser: Basic would make it ask in a dialogue of its own.
            http.Response.Redirect("/signin");
        }
        else
        {
            await (refusal ?? new AdminRefusal(StatusCodes.Status401Unauthorized, "Sign in at /signin.")).WriteAsync(http);
        }
    });

    /// <summary>Nothing from elsewhere, nothing inside another page, nothing guessed: what the console needs and no more.</summary>
    private static void Protect(IHeaderDictionary headers)
    {
        // Inline styles are how Blazor components set widths and colours; scripts come from this server only.
        headers.ContentSecurityPolicy =
            "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self'; connect-src 'self'; manifest-src 'self'; " +
            "base-uri 'self'; form-action 'self'; frame-ancestors 'none'";
        headers.XContentTypeOptions = "nosniff";
        // Not no-referrer: with it browsers say "Origin: null" of our own forms.
        headers["Referrer-Policy"] = "same-origin";
    }
}
