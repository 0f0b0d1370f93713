using Microsoft.AspNetCore.DataProtection;
using Microsoft.AspNetCore.Http.Features;
using Proxy.Server.Admin;
using Radzen;

namespace Proxy.Server.WebConsole;

/// <summary>Serves the console: Blazor pages on the admin address, everything they need from this process.</summary>
internal static class ConsoleHost
{
    public const string ThemeCookie = "s3-proxy-theme";

    /// <summary>Two keys and their names: whoever may not sign in must not fill memory or disk either.</summary>
    private const int SignInBytes = 8 << 10;

    private static readonly CookieOptions ThemeCookieOptions = new() { MaxAge = TimeSpan.FromDays(365), SameSite = SameSiteMode.Strict, HttpOnly = true };

    /// <summary>Styles and scripts lie beside the program, wherever it is started from.</summary>
    public static WebApplicationOptions Options { get; } = new() { ContentRootPath = AppContext.BaseDirectory };

    public static void AddConsole(this WebApplicationBuilder builder)
    {
        // In a build's output (not a published folder) the packages' files are found by a manifest.
        builder.WebHost.UseStaticWebAssets();
        builder.Services.AddRazorComponents().AddInteractiveServerComponents();
        builder.Services.AddRadzenComponents();
        builder.Services.AddSingleton<ConsoleRoom>();

        // Protects what a page carries for its own circuit; a circuit does not outlive the process, so its keys need not either.
        builder.Services.AddDataProtection().UseEphemeralDataProtectionProvider();
    }

    public static void MapConsole(this WebApplication app, AdminService admin, AdminAccess access, History history)
    {
        app.Services.GetRequiredService<ConsoleRoom>().Furnish(admin, access.Sessions, history);
        app.UseAntiforgery();
        app.MapStaticAssets();
        app.MapPost("/signin/session", http => SignInAsync(http, access));
        app.MapPost("/signout", http =>
        {
            access.Sessions.End(http.Request.Cookies[Sessions.Cookie]!);
            http.Response.Cookies.Delete(Sessions.Cookie);
            http.Response.Redirect("/signin");
            return Task.CompletedTask;
        });
        app.MapGet("/console/theme/{name}", (HttpContext http, string name, string? back) =>
        {
            http.Response.Cookies.Append(ThemeCookie, name == "dark" ? "dark" : "light", ThemeCookieOptions);

            // Only ever a page of ours: a path, not an address.
            return Results.LocalRedirect(
                back is { Length: > 0 } && back[0] == '/' && !back.StartsWith("//", StringComparison.Ordinal) && !back.Contains('\\', StringComparison.Ordinal) && !back.Any(char.IsControl) ? back : "/");
        });
        app.MapRazorComponents<App>().AddInteractiveServerRenderMode();
    }

    private static async Task SignInAsync(HttpContext http, AdminAccess access)
    {
        if (!AdminAccess.IsOwnOrigin(http.Request, needed: true))
        {
            await new AdminRefusal(StatusCodes.Status403Forbidden, "Sign in on the console's own page.").WriteAsync(http);
            return;
        }

        if (http.Features.Get<IHttpMaxRequestBodySizeFeature>() is { IsReadOnly: false } limit)
        {
            limit.MaxRequestBodySize = SignInBytes;
        }

        IFormCollection form;
        try
        {
            form = await http.Request.ReadFormAsync(http.RequestAborted);
        }
        catch (Exception e) when (e is BadHttpRequestException or InvalidDataException or InvalidOperationException)
        {
            var status = e is BadHttpRequestException { StatusCode: var told } ? told : StatusCodes.Status400BadRequest;
            await new AdminRefusal(status, "This is not what the sign-in page sends.").WriteAsync(http);
            return;
        }

        var accessKey = form["accessKey"].ToString();
        if (access.SignIn(http, accessKey, form["secretKey"].ToString()) is { } refusal)
        {
            http.Response.Redirect($"/signin?refused={refusal.Status}&wait={(int)Math.Ceiling(refusal.RetryAfter?.TotalSeconds ?? 0)}");
            return;
        }

        http.Response.Cookies.Append(
            Sessions.Cookie, access.Sessions.Begin(accessKey), new CookieOptions { HttpOnly = true, SameSite = SameSiteMode.Strict, Secure = http.Request.IsHttps, MaxAge = Sessions.Longest });
        http.Response.Redirect("/");
    }
}
