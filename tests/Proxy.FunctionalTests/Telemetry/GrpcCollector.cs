using System.Buffers.Binary;
using System.Collections.Concurrent;
using System.Net;
using System.Text;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Logging;

namespace Proxy.FunctionalTests.Telemetry;

/// <summary>As much of a gRPC server as an OpenTelemetry exporter needs: takes every unary call over HTTP/2 without TLS and answers it with an empty message.</summary>
internal sealed class GrpcCollector : IAsyncDisposable
{
    private readonly WebApplication _app;

    private GrpcCollector(WebApplication app) => _app = app;

    public ConcurrentQueue<Call> Calls { get; } = new();

    public string Url => _app.Urls.First();

    public static async Task<GrpcCollector> StartAsync()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, 0, listen => listen.Protocols = HttpProtocols.Http2));
        var collector = new GrpcCollector(builder.Build());
        collector._app.Run(collector.AnswerAsync);
        await collector._app.StartAsync();
        return collector;
    }

    public ValueTask DisposeAsync() => _app.DisposeAsync();

    private async Task AnswerAsync(HttpContext http)
    {
        using var body = new MemoryStream();
        await http.Request.Body.CopyToAsync(body);

        // A flag for compression and the length go before the message.
        var frame = body.ToArray();
        Assert.Equal(0, frame[0]);
        Assert.Equal(frame.Length - 5, BinaryPrimitives.ReadInt32BigEndian(frame.AsSpan(1)));
        Calls.Enqueue(new Call(http.Request.Protocol, http.Request.Path, http.Request.ContentType, Encoding.Latin1.GetString(frame, 5, frame.Length - 5)));
        http.Response.ContentType = "application/grpc";
        http.Response.DeclareTrailer("grpc-status");
        await http.Response.Body.WriteAsync(new byte[5]);
        http.Response.AppendTrailer("grpc-status", "0");
    }

    /// <param name="Message">Protobuf, each byte one character.</param>
    internal sealed record Call(string Protocol, string Path, string? ContentType, string Message);
}
