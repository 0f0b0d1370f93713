using System.Net;
using System.Net.Http.Headers;
using System.Security.Cryptography;
using System.Text;
using Proxy.S3.Auth;
using Proxy.Server.Hosting;

namespace Proxy.Server.Admin;

/// <summary>Who may use :9001 beyond health and metrics: the S3 credentials that may do everything, by Basic (tools) or by session cookie (console).</summary>
/// <remarks>Thread-safe. Secrets are compared in constant time and travel only over loopback or TLS, unless Admin:AllowPlainHttp says otherwise.</remarks>
internal sealed class AdminAccess(CredentialTable credentials, AdminOptions options, Sessions sessions, SignInLimiter limiter)
{
    private const string SessionItem = "admin-session";
    private const string WhoItem = "admin-who";

    public Sessions Sessions => sessions;

    /// <summary>Set on a request that came in with a session.</summary>
    public static Session? SessionOf(HttpContext http) => http.Items.TryGetValue(SessionItem, out var session) ? (Session?)session : null;

    /// <summary>The access key behind an admitted request.</summary>
    public static string WhoOf(HttpContext http) => http.Items[WhoItem] as string ?? "";

    /// <summary>Decides whether the request may go on; sets its session when it has one.</summary>
    /// <returns>Null: go on.</returns>
    public AdminRefusal? Admit(HttpContext http)
    {
        if (sessions.Find(http.Request.Cookies[Sessions.Cookie]) is { } session)
        {
            // SameSite=Strict does not tell ports of one host apart, and :9000 serves whatever people upload.
            if (!IsOwnOrigin(http.Request, needed: !HttpMethods.IsGet(http.Request.Method) || http.Request.Headers.Upgrade.Count > 0))
            {
                return new AdminRefusal(StatusCodes.Status403Forbidden, "This request comes from another site: use the console's own page, or Basic authentication.");
            }

            http.Items[SessionItem] = session;
            http.Items[WhoItem] = session.AccessKey;
            return null;
        }

        if (!AuthenticationHeaderValue.TryParse(http.Request.Headers.Authorization, out var header) || !"Basic".Equals(header.Scheme, StringComparison.OrdinalIgnoreCase))
        {
            return new AdminRefusal(StatusCodes.Status401Unauthorized, "Sign in with an S3 access key and its secret key (HTTP Basic).");
        }

        if (!TryReadBasic(header.Parameter, out var accessKey, out var secret))
        {
            return new AdminRefusal(StatusCodes.Status400BadRequest, "The Authorization header is not valid Basic authentication.");
        }

        http.Items[WhoItem] = accessKey;
        return SignIn(http, accessKey, secret);
    }

    /// <summary>Checks a pair of keys, slowly for those who guess.</summary>
    /// <returns>Null: they are right and may do everything.</returns>
    public AdminRefusal? SignIn(HttpContext http, string accessKey, string secret)
    {
        var address = http.Connection.RemoteIpAddress ?? IPAddress.None;
        if (!http.Request.IsHttps && !IPAddress.IsLoopback(address) && !options.AllowPlainHttp)
        {
            return new AdminRefusal(
                StatusCodes.Status403Forbidden,
                "Keys would cross the network unprotected: set Admin:Tls, sign in through loopback (an SSH tunnel), or accept it with Admin:AllowPlainHttp=true.");
        }

        if (!limiter.MayTry(address, out var wait))
        {
            return new AdminRefusal(StatusCodes.Status429TooManyRequests, $"Too many wrong secrets: wait {Math.Ceiling(wait.TotalSeconds)} s.") { RetryAfter = wait };
        }

        // Also for an unknown access key, so that the time taken does not tell which keys exist.
        var known = credentials.TryGet(accessKey, out var credential);
        var same = CryptographicOperations.FixedTimeEquals(Hash(known ? credential!.SecretKey : ""), Hash(secret));
        if (!known || !same)
        {
            limiter.Failed(address);
            return new AdminRefusal(StatusCodes.Status401Unauthorized, "Access key or secret key is wrong.");
        }

        limiter.Succeeded(address);
        return MayDoEverything(credential!)
            ? null
            : new AdminRefusal(StatusCodes.Status403Forbidden, $"{accessKey} may not do everything: use a credential without ReadOnly and Buckets.");
    }

    /// <summary>Whether the browser says the request was made by a page of ours.</summary>
    public static bool IsOwnOrigin(HttpRequest request, bool needed)
    {
        var origin = request.Headers.Origin.ToString();
        return origin.Length == 0 ? !needed : origin.Equals($"{request.Scheme}://{request.Host}", StringComparison.OrdinalIgnoreCase);
    }

    public static bool MayDoEverything(Credential credential)
        => credential.SessionToken is null && credential.Policy.Grants.Any(grant => grant is { BucketPattern: "*", KeyPrefix: "", ReadOnly: false });

    private static byte[] Hash(string text) => SHA256.HashData(Encoding.UTF8.GetBytes(text));

    private static bool TryReadBasic(string? parameter, out string accessKey, out string secret)
    {
        (accessKey, secret) = ("", "");
        var bytes = new byte[1024];
        if (parameter is null || parameter.Length > bytes.Length || !Convert.TryFromBase64String(parameter, bytes, out var length))
        {
            return false;
        }

        var pair = Encoding.UTF8.GetString(bytes, 0, length).Split(':', 2);
        if (pair.Length < 2)
        {
            return false;
        }

        (accessKey, secret) = (pair[0], pair[1]);
        return true;
    }
}

/// <summary>Why a request may not go on, for people.</summary>
internal sealed record AdminRefusal(int Status, string Message)
{
    public TimeSpan? RetryAfter { get; init; }

    public Task WriteAsync(HttpContext http)
    {
        http.Response.StatusCode = Status;
        if (RetryAfter is { } wait)
        {
            http.Response.Headers.RetryAfter = ((int)Math.Ceiling(wait.TotalSeconds)).ToString(System.Globalization.CultureInfo.InvariantCulture);
        }

        if (Status == StatusCodes.Status401Unauthorized)
        {
            http.Response.Headers.WWWAuthenticate = "Basic realm=\"S3 tier proxy\", charset=\"UTF-8\"";
        }

        return http.Response.WriteAsJsonAsync(new ApiError(Message), AdminJson.Options, http.RequestAborted);
    }
}
