using Proxy.S3.Auth;
using Proxy.Server.Hosting;
using Proxy.Server.WebConsole;

namespace Proxy.Server.Admin;

/// <summary>Puts the admin side together: gate, API and, on top of them, the console.</summary>
internal static class AdminHouse
{
    public static void MapAdmin(this WebApplication app, AdminService admin, CredentialTable credentials, AdminOptions options, History history)
    {
        var access = new AdminAccess(credentials, options, new Sessions(TimeProvider.System, credentials), new SignInLimiter(TimeProvider.System));
        app.UseAdminGate(access);
        app.MapAdminApi(admin);
        app.MapConsole(admin, access, history);
    }
}
