namespace Proxy.Server.Transport;

/// <summary>Connection feature: told when a request begins and ends, so that the time between two of them counts as idle whoever reads the connection then.</summary>
/// <remarks>There on connections of <see cref="SocketTransport"/>; elsewhere Kestrel's own keep-alive timeout does it.</remarks>
internal interface IIdleWatch
{
    void RequestBegins();

    void RequestEnds();
}
