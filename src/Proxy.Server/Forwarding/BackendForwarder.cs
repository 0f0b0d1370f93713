using Proxy.Backends.Remote;

namespace Proxy.Server.Forwarding;

/// <summary>Carries a request to a remote backend and its answer back, byte for byte, signed anew.</summary>
public sealed class BackendForwarder
{
    /// <summary>Sends the request exactly once; nothing here ever repeats it.</summary>
    /// <returns>How it ended. With an <see cref="ForwardOutcome.Error"/> the response is untouched and the caller writes it.</returns>
    public ValueTask<ForwardOutcome> ForwardAsync(HttpContext context, RemoteBackend backend, ForwardRequest request, CancellationToken cancellation)
        => throw new NotSupportedException("Not built yet.");
}
