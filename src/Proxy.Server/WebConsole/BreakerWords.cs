using Proxy.Backends.Remote;

namespace Proxy.Server.WebConsole;

/// <summary>A backend's breakers, one an endpoint, as people read them.</summary>
/// <remarks>Open until the endpoint has answered, also while it may be tried: <see cref="RemoteBackend.IsReachable"/> would call that well.</remarks>
internal static class BreakerWords
{
    public static string Of(RemoteBackend backend) => Of(backend.OpenBreakers, backend.Endpoints.Count);

    public static string DotOf(RemoteBackend backend) => DotOf(backend.OpenBreakers, backend.Endpoints.Count);

    internal static string Of(int open, int endpoints) => open switch
    {
        0 => "closed: it answers",
        _ when open < endpoints => $"open for {open} of {endpoints} endpoints: the others answer",
        _ => "open: left alone until a probe succeeds",
    };

    internal static string DotOf(int open, int endpoints) => open == 0 ? "good" : open < endpoints ? "soon" : "bad";
}
