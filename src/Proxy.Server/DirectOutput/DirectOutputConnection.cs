using System.IO.Pipelines;
using System.Runtime.InteropServices;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Connections.Features;

namespace Proxy.Server.DirectOutput;

/// <summary>Connection middleware that puts <see cref="SocketOutput"/> under a plain connection.</summary>
internal static class DirectOutputConnection
{
    /// <summary>The structures of <see cref="NativeSocket"/> are 64-bit Linux's.</summary>
    public static bool IsSupported => OperatingSystem.IsLinux() && RuntimeInformation.ProcessArchitecture is Architecture.X64 or Architecture.Arm64;

    /// <summary>What Kestrel is to read from in place of the transport's own.</summary>
    public delegate PipeReader InputOf(PipeReader transport, SocketOutput output, ConnectionContext connection);

    /// <summary>Must be the last middleware before Kestrel's HTTP, and never stand on a TLS connection.</summary>
    public static void UseDirectOutput(this IConnectionBuilder listen, InputOf inputOf) => listen.Use(next => connection => RunAsync(connection, inputOf, next));

    private static async Task RunAsync(ConnectionContext connection, InputOf inputOf, ConnectionDelegate next)
    {
        if (connection.Features.Get<IConnectionSocketFeature>()?.Socket is not { } socket)
        {
            await next(connection);
            return;
        }

        var transport = connection.Transport;
        using var output = new SocketOutput(socket, transport.Output);
        connection.Transport = new Duplex(inputOf(transport.Input, output, connection), output);
        connection.Features.Set<IBlockOutput>(output);
        try
        {
            await next(connection);
        }
        finally
        {
            output.Complete();
            connection.Transport = transport;
        }
    }

    private sealed class Duplex(PipeReader input, PipeWriter output) : IDuplexPipe
    {
        public PipeReader Input { get; } = input;

        public PipeWriter Output { get; } = output;
    }
}
