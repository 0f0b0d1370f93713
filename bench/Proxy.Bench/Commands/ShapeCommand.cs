using System.CommandLine;
using Proxy.Bench.Shape;

namespace Proxy.Bench.Commands;

/// <summary><c>proxy-bench shape</c>: makes a fast backend answer like a slower one.</summary>
internal static class ShapeCommand
{
    public static Command Build()
    {
        var listen = new Option<string>("--listen") { Description = "host:port to listen on", DefaultValueFactory = _ => "127.0.0.1:19990" };
        var server = new Option<string>("--server") { Description = "host:port of the backend", Required = true };
        var profile = StackOptions.Profile("rustfs-like");
        var latency = new Option<double?>("--first-byte-ms") { Description = "Instead of the profile's" }.AtLeast(0);
        var rate = new Option<double?>("--megabytes-per-second") { Description = "Of a stream, instead of the profile's; 0 is no limit" }.AtLeast(0);
        var requests = new Option<double>("--requests-per-second") { Description = "503 SlowDown above it; 0 is no limit" }.AtLeast(0);
        var refused = new Option<double>("--refused-share") { Description = "503 SlowDown on this share, as 0.1" }.Must(share => share is >= 0 and <= 1, "from 0 to 1");
        var command = new Command("shape", "Stand in front of a backend with a latency, a rate per stream and 503s; plain http, until Ctrl-C") { listen, server, profile, latency, rate, requests, refused };
        command.SetAction(async (values, cancellation) =>
        {
            var named = BackendProfile.Find(values.GetRequiredValue(profile));
            var shaped = named with
            {
                FirstByte = values.GetValue(latency) is { } milliseconds ? TimeSpan.FromMilliseconds(milliseconds) : named.FirstByte,
                BytesPerSecond = values.GetValue(rate) is { } megabytes ? megabytes * 1e6 : named.BytesPerSecond,
                RequestsPerSecond = values.GetValue(requests),
                RefusedShare = values.GetValue(refused),
            };
            var from = await EndpointText.ResolveAsync("--listen", values.GetRequiredValue(listen), cancellation);
            var to = await EndpointText.ResolveAsync("--server", values.GetRequiredValue(server), cancellation);
            await using var backend = new ShapedBackend(from, to, shaped);
            await Console.Out.WriteLineAsync($"{backend.Address} → {to}: {shaped}");
            await Task.Delay(Timeout.InfiniteTimeSpan, cancellation).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            await Console.Out.WriteLineAsync($"{backend.Requests} requests, {backend.Bytes >> 20} MiB, {backend.Refused} refused");
            return ExitCode.Interrupted;
        });
        return command;
    }
}
