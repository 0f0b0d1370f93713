using Proxy.S3.Auth;
using Proxy.Server.Routing;

namespace Proxy.Server.Hosting;

/// <summary>Keeps an edit of a running proxy from doing, by what it leaves out, what nobody may have meant.</summary>
/// <remarks>Before <see cref="ConfigurationReload"/> builds anything. At a start the same file means what it says: nothing is served yet that could be lost.</remarks>
internal static class ReloadGuard
{
    /// <summary>
    /// What is not named anywhere is the embedded store's. A file that lost its backend, to an editor or a template, would have its objects looked for there:
    /// reads would say NoSuchKey, and writes would go elsewhere than the only copy.
    /// </summary>
    /// <exception cref="ConfigurationException">Something that lives in a remote backend would become the local store's without being named.</exception>
    public static void RefuseMovingToLocal(RoutingModel now, ProxyOptions next)
    {
        if (next.Backend.Endpoints.Count > 0)
        {
            return;
        }

        // A route to "default" says nothing of the local store while that means another: with the backend's section gone it would mean the store.
        var says = next.Routes.FindAll(route => now.Default is LocalBackend || !route.Backend.Equals("default", StringComparison.OrdinalIgnoreCase));
        var mistakes = now.RemotePlaces.Where(place => !says.Exists(route => Names(route, place.Pattern.TrimEnd('*'), place.Prefix))).Select(Describe).ToList();
        if (mistakes.Count > 0)
        {
            throw new ConfigurationException(string.Join(Environment.NewLine, mistakes));
        }
    }

    /// <exception cref="ConfigurationException">minioadmin/minioadmin could sign in though it could not before, and is not written down.</exception>
    public static void RefuseDefaultCredential(CredentialTable now, bool nextIsDefault)
    {
        var known = StartupSummary.DefaultCredential;
        if (nextIsDefault && !(now.TryGet(known.AccessKey, out var allowed) && allowed.SecretKey == known.SecretKey))
        {
            throw new ConfigurationException(
                "S3:Credentials: nobody is named any more, so that minioadmin/minioadmin could sign in: put the credentials back, or write that pair down if it is meant.");
        }
    }

    private static bool Names(BackendRouteOptions route, string bucket, string prefix)
        => (route.Bucket.EndsWith('*') ? bucket.StartsWith(route.Bucket.TrimEnd('*'), StringComparison.Ordinal) : bucket == route.Bucket)
            && prefix.StartsWith(route.Prefix, StringComparison.Ordinal);

    private static string Describe((string Pattern, string Prefix, Backend Backend) place)
        => place.Pattern is "*" && place.Prefix.Length == 0
            ? $"Backend:Endpoints: none is named any more, so that what lives in backend {place.Backend.Name} ({place.Backend.Description}) would be looked for in the embedded local store. "
                + "Put Backend:Endpoints back or name others; to serve the local store instead, write the route { \"Bucket\": \"*\", \"Backend\": \"local\" }, or restart the proxy."
            : $"Routes: none names {place.Pattern}/{place.Prefix} any more, so that what lives in backend {place.Backend.Name} would be looked for in the embedded local store. "
                + $"Put the route back; to serve the local store instead, write the route {{ \"Bucket\": \"{place.Pattern}\", \"Prefix\": \"{place.Prefix}\", \"Backend\": \"local\" }}, or restart the proxy.";
}
