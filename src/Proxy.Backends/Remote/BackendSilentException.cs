namespace Proxy.Backends.Remote;

/// <summary>The backend had a whole request and gave no answer, or took no more of a body, for as long as was waited.</summary>
/// <remarks>Counts against the endpoint like a connection that cannot be made; unlike there, the request may have been done.</remarks>
internal sealed class BackendSilentException(TimeSpan waited, Exception? inner = null)
    : IOException($"it kept silent for {waited.TotalSeconds:0.#} s", inner);
