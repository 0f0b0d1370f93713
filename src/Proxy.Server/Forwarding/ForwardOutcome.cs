using Proxy.S3.Errors;

namespace Proxy.Server.Forwarding;

/// <summary>How a forwarded request ended.</summary>
/// <param name="StatusCode">What the backend answered; 0 when it did not.</param>
/// <param name="Error">What to tell the client: the response has not been touched, and whoever called writes it. Null when the client has its
/// answer, or nobody is there to hear one.</param>
/// <param name="Cause">For the log; null when nothing went wrong.</param>
public sealed record ForwardOutcome(ForwardOutcomeKind Kind, int StatusCode, S3Exception? Error, Exception? Cause)
{
    /// <summary>The backend may or may not have done what was asked.</summary>
    public bool IsUnknown => Kind is ForwardOutcomeKind.BackendFailed or ForwardOutcomeKind.ClientAborted && StatusCode == 0;
}

public enum ForwardOutcomeKind
{
    /// <summary>The backend's answer went to the client, whatever its status.</summary>
    Completed,

    /// <summary>The backend said 503 or 429 to a request that may be asked again, and nobody has been told yet. Never leaves the forwarder.</summary>
    HeldBack,

    /// <summary>The backend refused the date of our signature, and nobody has been told yet. Never leaves the forwarder.</summary>
    Misdated,

    /// <summary>No connection: the backend certainly did nothing.</summary>
    BackendUnreachable,

    /// <summary>Reset, timeout or nonsense after the request left.</summary>
    BackendFailed,

    /// <summary>The client went away, or its body ended early.</summary>
    ClientAborted,

    /// <summary>The body failed its own verification; the backend got it cut short and stored nothing.</summary>
    BodyRejected,

    /// <summary>The backend refused the proxy's own keys, and did nothing: no word for the client, and the operator has been told.</summary>
    KeysRefused,

    /// <summary>The answer broke off while it was on its way: the client's connection was aborted.</summary>
    ResponseBroken,
}
