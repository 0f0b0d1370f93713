using System.Security.Cryptography;
using System.Text;
using Proxy.S3.Auth;

namespace Proxy.Server.Admin;

/// <summary>Somebody signed in to the console.</summary>
/// <param name="AccessKey">Who.</param>
internal sealed record Session(string Id, string AccessKey);

/// <summary>Who is signed in: random tokens in cookies, known here by their hash, gone with the process.</summary>
/// <remarks>
/// Thread-safe. Bounded: the session unused longest gives way. A session is worth what the keys it was begun with are worth now: when the configuration takes
/// them away, changes the secret or narrows what they may do, it is over.
/// </remarks>
internal sealed class Sessions(TimeProvider time, CredentialTable credentials)
{
    public const string Cookie = "s3-proxy-session";

    /// <summary>OWASP's session guide: hours, not days, for something that can delete data; a working day here.</summary>
    public static readonly TimeSpan Longest = TimeSpan.FromHours(12);

    /// <summary>Without a request or an open console page.</summary>
    public static readonly TimeSpan Idle = TimeSpan.FromHours(1);

    private const int Most = 1000;
    private readonly Lock _lock = new();
    private readonly Dictionary<string, Entry> _sessions = new(StringComparer.Ordinal);

    /// <param name="accessKey">Of a credential that has just been checked.</param>
    /// <returns>The token for the cookie: 256 random bits.</returns>
    public string Begin(string accessKey)
    {
        _ = credentials.TryGet(accessKey, out var credential);
        var token = Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(32));
        var now = time.GetTimestamp();
        lock (_lock)
        {
            Forget_NeedsLock();
            if (_sessions.Count >= Most)
            {
                _sessions.Remove(_sessions.MinBy(session => session.Value.LastUsed).Key);
            }

            _sessions[IdOf(token)] = new Entry(new Session(IdOf(token), accessKey), credential?.SecretKey, now);
        }

        return token;
    }

    /// <summary>The session of a cookie's token, counted as used now; null when there is none (any more).</summary>
    public Session? Find(string? token) => token is null ? null : Touch(IdOf(token));

    /// <summary>Whether a session found before still stands; counted as used now.</summary>
    /// <param name="id">A session's own id, not its token.</param>
    public bool IsAlive(string id) => Touch(id) is not null;

    public void End(string token)
    {
        lock (_lock)
        {
            _sessions.Remove(IdOf(token));
        }
    }

    private Session? Touch(string id)
    {
        lock (_lock)
        {
            if (!_sessions.TryGetValue(id, out var entry) || IsOver(entry) || !MayStill(entry))
            {
                return null;
            }

            entry.LastUsed = time.GetTimestamp();
            return entry.Session;
        }
    }

    private void Forget_NeedsLock()
    {
        foreach (var id in _sessions.Where(pair => IsOver(pair.Value)).Select(pair => pair.Key).ToList())
        {
            _sessions.Remove(id);
        }
    }

    private bool MayStill(Entry entry)
        => credentials.TryGet(entry.Session.AccessKey, out var credential) && credential.SecretKey == entry.Secret && AdminAccess.MayDoEverything(credential);

    // By the clock that nobody sets: one put back would keep a session open for as long.
    private bool IsOver(Entry entry) => time.GetElapsedTime(entry.LastUsed) > Idle || time.GetElapsedTime(entry.SignedInAt) > Longest;

    // A dump of this table's keys opens nothing.
    private static string IdOf(string token) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(token)));

    /// <param name="now">A timestamp, as those here.</param>
    private sealed class Entry(Session session, string? secret, long now)
    {
        public Session Session { get; } = session;

        public long SignedInAt { get; } = now;

        public string? Secret { get; } = secret;

        public long LastUsed { get; set; } = now;
    }
}
