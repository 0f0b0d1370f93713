namespace Proxy.Cache.Policy;

/// <summary>How a key may be cached.</summary>
public enum ObjectClass
{
    /// <summary>Served for a TTL, then only after the backend confirmed the version. What every unknown key is.</summary>
    Revalidate,

    /// <summary>Written once: never asked about again until it is deleted or overwritten through this proxy.</summary>
    Immutable,

    /// <summary>Never cached.</summary>
    Bypass,
}
