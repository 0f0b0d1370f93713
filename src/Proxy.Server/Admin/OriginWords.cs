using Proxy.Cache.Admin;
using Proxy.Cache.Metadata;

namespace Proxy.Server.Admin;

/// <summary>What told the cache of a key or brought its bytes, as people read it: the same words in the console and on the command line.</summary>
internal static class OriginWords
{
    public static string Of(Origin origin) => origin switch
    {
        Origin.Read => "a client's read",
        Origin.ReadAhead => "read-ahead",
        Origin.Warm => "a warm job",
        Origin.Put => "a PUT through this proxy",
        Origin.Multipart => "a multipart upload through this proxy",
        _ => "the run before the last start",
    };

    /// <summary>By what, and when in the words of <paramref name="ago"/>; what is not known is said to be unknown.</summary>
    public static string Filled(CachedObject cached, FillNote? note, Func<DateTimeOffset, string> ago) => note switch
    {
        _ when cached.Size == 0 => "never: it is empty",
        null when cached.CachedBytes == 0 => "not yet",
        null => "not known: its bytes are from before the proxy learned of it",
        { At: null } when cached.CachedBytes == 0 => "not since the last start",
        { At: null } => "not known: before the last start",
        { At: { } at, EarlierBy: [] } => $"{ago(at)}, by {Of(note.By)}",
        { At: { } at } => $"{ago(at)}, by {Of(note.By)}; some of it earlier by {string.Join(" and ", note.EarlierBy.Select(Of))}",
    };
}
