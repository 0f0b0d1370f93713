namespace Proxy.Server.Transport;

/// <summary>Connection feature: takes a body piece by reference instead of by copy.</summary>
/// <remarks>There on connections of <see cref="SocketTransport"/>; everywhere else the ordinary path serves.</remarks>
internal interface IBlockOutput
{
    /// <summary>
    /// The next <c>Advance</c> of the response's BodyWriter stands for these bytes, which go from where they lie to the socket.
    /// They must stay valid until the flush that follows has completed.
    /// </summary>
    void Attach(ReadOnlyMemory<byte> block);

    /// <summary>To be called when that flush has completed: a connection that was given up meanwhile has not taken the bytes, and must not do so later.</summary>
    void Detach();
}
