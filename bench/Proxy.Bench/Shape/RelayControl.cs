using System.CommandLine;
using System.Net;
using System.Net.Sockets;
using System.Text.Json;
using Proxy.Bench.Http;

namespace Proxy.Bench.Shape;

/// <summary>What a relay is told; what is null stays as it is.</summary>
/// <param name="Profile">To answer by from now on.</param>
/// <param name="IsDown">Whether it is a stopped backend.</param>
/// <param name="IsWatched">Begins to keep which objects are asked for, or ends it; what was kept comes with the answer.</param>
internal sealed record RelayOrder(BackendProfile? Profile = null, bool? IsDown = null, bool? IsWatched = null);

/// <summary>What a relay has counted since its start, see <see cref="ShapedBackend"/>.</summary>
internal sealed record RelayState(long Requests, long Bytes, long Refused, IReadOnlyCollection<WatchedRequest> Watched);

/// <summary>The child process behind <see cref="RelayServer"/>: a <see cref="ShapedBackend"/> that takes orders, a line of JSON each, and ends with who gives them.</summary>
internal static class RelayControl
{
    /// <summary>A socket in Linux's abstract namespace: nothing to remove, no port.</summary>
    public static UnixDomainSocketEndPoint Address(string name) => new('\0' + name);

    public static Command Build()
    {
        var listen = new Option<string>("--listen") { Required = true };
        var server = new Option<string>("--server") { Required = true };
        var control = new Option<string>("--control") { Required = true };
        var signs = new Option<bool>("--signs");
        var bucket = new Option<string>("--bucket") { DefaultValueFactory = _ => "a-bucket" };
        var command = new Command("relay", "A backend's shape as a process of its own, steered by the command that started it") { listen, server, control, signs, bucket };
        command.Hidden = true;
        command.SetAction(async (values, cancellation) =>
        {
            var backend = IPEndPoint.Parse(values.GetRequiredValue(server));
            var signsAs = values.GetValue(signs) ? S3Target.OfBench(backend, values.GetRequiredValue(bucket)) : null;
            await using var relay = new ShapedBackend(IPEndPoint.Parse(values.GetRequiredValue(listen)), backend, BackendProfile.Find("none"), signsAs);
            using var orders = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
            await orders.ConnectAsync(Address(values.GetRequiredValue(control)), cancellation);
            await ObeyAsync(relay, orders, cancellation);
            return 0;
        });
        return command;
    }

    private static async Task ObeyAsync(ShapedBackend relay, Socket orders, CancellationToken cancellation)
    {
        await using var stream = new NetworkStream(orders);
        using var reader = new StreamReader(stream);
        try
        {
            while (await reader.ReadLineAsync(cancellation) is { } line)
            {
                var order = JsonSerializer.Deserialize<RelayOrder>(line)!;
                relay.Profile = order.Profile ?? relay.Profile;
                relay.IsDown = order.IsDown ?? relay.IsDown;
                var watched = order.IsWatched is { } isOn ? relay.Watch(isOn) : [];
                await JsonSerializer.SerializeAsync(stream, new RelayState(relay.Requests, relay.Bytes, relay.Refused, watched), cancellationToken: cancellation);
                await stream.WriteAsync("\n"u8.ToArray(), cancellation);
            }
        }
        catch (Exception error) when (error is IOException or OperationCanceledException)
        {
            // Whoever gave the orders is gone, or says it is enough.
        }
    }
}
