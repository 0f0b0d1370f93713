using System.Net.Sockets;
using Proxy.Backends.Remote;

namespace Proxy.UnitTests.Remote;

/// <summary>"Certainly nothing was done there" is said only of a request that never had a connection.</summary>
public sealed class ConnectFailureTests
{
    [Fact]
    public void IsConnectFailure_NoConnection_IsTrue()
    {
        var refused = new SocketException((int)SocketError.ConnectionRefused);
        Assert.True(RemoteBackend.IsConnectFailure(refused));
        Assert.True(RemoteBackend.IsConnectFailure(new HttpRequestException(HttpRequestError.ConnectionError, "No connection.", refused)));
        Assert.True(RemoteBackend.IsConnectFailure(new HttpRequestException(HttpRequestError.SecureConnectionError, "No TLS.", new IOException("Cut."))));
        Assert.True(RemoteBackend.IsConnectFailure(new TaskCanceledException("Late.", new TimeoutException("within the configured ConnectTimeout"))));
    }

    /// <summary>Linux reports an unreachable host also to a connection that has carried a request, once its retransmissions are spent: the backend may have it.</summary>
    [Theory]
    [InlineData(SocketError.HostUnreachable)]
    [InlineData(SocketError.NetworkUnreachable)]
    [InlineData(SocketError.ConnectionRefused)]
    public void IsConnectFailure_ConnectionThatBroke_IsFalse(SocketError error)
        => Assert.False(RemoteBackend.IsConnectFailure(new HttpRequestException("The request was cut.", new IOException("Unable to read.", new SocketException((int)error)))));
}
