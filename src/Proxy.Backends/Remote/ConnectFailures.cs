using System.Net.Sockets;
using System.Security.Authentication;

namespace Proxy.Backends.Remote;

/// <summary>Tells failures to reach an endpoint from failures behind the connection, and names them for the operator.</summary>
internal static class ConnectFailures
{
    /// <summary>No connection could be made: the request never reached the backend.</summary>
    public static bool IsOne(Exception failure)
    {
        for (var inner = failure; inner is not null; inner = inner.InnerException)
        {
            if (inner is HttpRequestException { HttpRequestError: HttpRequestError.ConnectionError or HttpRequestError.NameResolutionError or HttpRequestError.SecureConnectionError })
            {
                return true;
            }

            // From here on a connection was there: the kernel says HostUnreachable also of one that has carried a request.
            if (inner is IOException)
            {
                return false;
            }

            if (IsConnectTimeout(inner))
            {
                return true;
            }

            if (inner is SocketException { SocketErrorCode: SocketError.ConnectionRefused or SocketError.HostUnreachable or SocketError.NetworkUnreachable or SocketError.HostNotFound or SocketError.TryAgain })
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>The cause in one clause, to stand behind "because".</summary>
    public static string Reason(Exception? failure)
    {
        for (var inner = failure; inner is not null; inner = inner.InnerException)
        {
            switch (inner)
            {
                case BackendSilentException or AuthenticationException:
                    return inner.Message.TrimEnd('.');
                case SocketException { SocketErrorCode: SocketError.ConnectionRefused }:
                    return "the connection was refused: nothing listens there";
                case SocketException { SocketErrorCode: SocketError.TimedOut }:
                    return "nothing answered to the connection";
                case SocketException { SocketErrorCode: SocketError.HostUnreachable or SocketError.NetworkUnreachable }:
                    return "no network leads to its address";
                case SocketException { SocketErrorCode: SocketError.HostNotFound or SocketError.TryAgain or SocketError.NoData or SocketError.NoRecovery }:
                    return $"its name cannot be looked up ({inner.Message})";
                case TimeoutException when IsConnectTimeout(inner):
                    return "no connection was made within ConnectTimeout";
            }
        }

        return failure switch
        {
            null => "it did not answer",
            OperationCanceledException => "it did not answer in time",
            _ => failure.GetBaseException().Message.TrimEnd('.'),
        };
    }

    // SocketsHttpHandler's own connect timeout has no type of its own.
    private static bool IsConnectTimeout(Exception failure) => failure is TimeoutException && failure.Message.Contains("ConnectTimeout", StringComparison.Ordinal);
}
