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

/// <summary>As much of a collector as an OpenTelemetry exporter needs, on a port the kernel picks: takes every message and answers it with an empty one.</summary>
/// <remarks>Without TLS, so one protocol a collector: a POST of HTTP/1.1, or a unary gRPC call of HTTP/2.</remarks>
internal sealed class OtlpCollector : IAsyncDisposable
{
    private readonly WebApplication _app;

    private OtlpCollector(WebApplication app) => _app = app;

    public ConcurrentQueue<Call> Calls { get; } = new();

    public string Url => _app.Urls.First();

    public static async Task<OtlpCollector> StartAsync(bool isGrpc = false)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, 0, listen => listen.Protocols = isGrpc ? HttpProtocols.Http2 : HttpProtocols.Http1));
        var collector = new OtlpCollector(builder.Build());
        collector._app.Run(isGrpc ? collector.AnswerCallAsync : collector.AnswerPostAsync);
        await collector._app.StartAsync();
        return collector;
    }

    public ValueTask DisposeAsync() => _app.DisposeAsync();

    private async Task AnswerPostAsync(HttpContext http)
    {
        Keep(http, await ReadAsync(http));
        http.Response.ContentType = "application/x-protobuf";
    }

    private async Task AnswerCallAsync(HttpContext http)
    {
        // A flag for compression and the length go before the message.
        var frame = await ReadAsync(http);
        Assert.Equal(0, frame[0]);
        Assert.Equal(frame.Length - 5, BinaryPrimitives.ReadInt32BigEndian(frame.AsSpan(1)));
        Keep(http, frame.AsSpan(5));
        http.Response.ContentType = "application/grpc";
        http.Response.DeclareTrailer("grpc-status");
        await http.Response.Body.WriteAsync(new byte[5]);
        http.Response.AppendTrailer("grpc-status", "0");
    }

    private static async Task<byte[]> ReadAsync(HttpContext http)
    {
        using var body = new MemoryStream();
        await http.Request.Body.CopyToAsync(body);
        return body.ToArray();
    }

    private void Keep(HttpContext http, ReadOnlySpan<byte> message) =>
        Calls.Enqueue(new Call(http.Request.Protocol, http.Request.Path, http.Request.ContentType, Encoding.Latin1.GetString(message)));

    /// <param name="Message">Protobuf, each byte one character.</param>
    internal sealed record Call(string Protocol, string Path, string? ContentType, string Message);
}
