namespace Proxy.Cache.Metadata;

/// <summary>What told the cache of a version of a key, or brought bytes of it.</summary>
/// <remarks>At most eight: <see cref="FillNote"/> keeps a bit for each.</remarks>
public enum Origin : byte
{
    /// <summary>Brought back after a restart: what it was in the last run is not known any more.</summary>
    Recovered,

    /// <summary>A client's read.</summary>
    Read,

    /// <summary>The proxy, before a client asked: the siblings of an index slice, what follows a sequential reader's range, what follows a HEAD.</summary>
    ReadAhead,

    /// <summary>A warm job.</summary>
    Warm,

    /// <summary>A PUT through this proxy.</summary>
    Put,

    /// <summary>A multipart upload through this proxy, kept in its parts.</summary>
    Multipart,
}
