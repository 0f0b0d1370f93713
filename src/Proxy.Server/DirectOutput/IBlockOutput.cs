namespace Proxy.Server.DirectOutput;

/// <summary>Connection feature: takes a body piece by reference instead of by copy.</summary>
/// <remarks>There on plain HTTP/1.1 connections of the S3 listener when S3:DirectOutput is on; everywhere else the ordinary path serves.</remarks>
internal interface IBlockOutput
{
    /// <summary>
    /// The next <c>Advance</c> of the response's BodyWriter stands for these bytes, which go from where they lie to the socket.
    /// They must stay valid until the flush that follows has completed.
    /// </summary>
    void Attach(ReadOnlyMemory<byte> block);
}
