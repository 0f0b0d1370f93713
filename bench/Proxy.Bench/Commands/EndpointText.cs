using System.Diagnostics.CodeAnalysis;
using System.Net;
using System.Net.Sockets;
using Proxy.Bench.Http;
using Proxy.Bench.Workloads;

namespace Proxy.Bench.Commands;

/// <summary>Endpoints as people write them, and whether anything answers there.</summary>
internal static class EndpointText
{
    private static readonly TimeSpan AnswerWithin = TimeSpan.FromSeconds(5);

    /// <summary>http://host:port, https://host:port, or host:port for the first.</summary>
    public static bool TryRead(string text, [NotNullWhen(true)] out Uri? endpoint)
        => Uri.TryCreate(text.Contains("://", StringComparison.Ordinal) ? text : "http://" + text, UriKind.Absolute, out endpoint)
            && (endpoint.Scheme == Uri.UriSchemeHttp || endpoint.Scheme == Uri.UriSchemeHttps) && endpoint.Host.Length > 0;

    /// <summary>Connects once: what is not there is told now, and not after every request's retries.</summary>
    /// <exception cref="RunFailedException">Nothing accepts a connection.</exception>
    public static async Task RequireAnswerAsync(S3Target target, CancellationToken cancellation)
    {
        using var timeout = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        timeout.CancelAfter(AnswerWithin);
        try
        {
            using var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
            await socket.ConnectAsync(target.Address, timeout.Token);
        }
        catch (SocketException error)
        {
            throw new RunFailedException($"nothing answers at {target.Endpoint}: {error.Message}");
        }
        catch (OperationCanceledException) when (!cancellation.IsCancellationRequested)
        {
            throw new RunFailedException($"nothing answers at {target.Endpoint} within {AnswerWithin.TotalSeconds:0} s");
        }
    }

    /// <summary>host:port, the host by address or by name.</summary>
    /// <exception cref="RunFailedException">It is not, or the name is not known.</exception>
    public static async Task<IPEndPoint> ResolveAsync(string option, string text, CancellationToken cancellation)
    {
        if (IPEndPoint.TryParse(text, out var address) && address.Port > 0)
        {
            return address;
        }

        var isNamed = TryRead(text, out var endpoint) && endpoint.Port > 0 && text.EndsWith($":{endpoint.Port}", StringComparison.Ordinal) && endpoint.Scheme == Uri.UriSchemeHttp;
        RunFailedException.Unless(isNamed, $"{option} {text}: write it as host:port");
        try
        {
            var addresses = await Dns.GetHostAddressesAsync(endpoint!.DnsSafeHost, cancellation);
            // IPv4 first: a server that listens on 127.0.0.1 is not on ::1.
            return new IPEndPoint(addresses.OrderBy(one => one.AddressFamily == AddressFamily.InterNetwork ? 0 : 1).First(), endpoint.Port);
        }
        catch (SocketException error)
        {
            throw new RunFailedException($"{option} {text}: {error.Message}");
        }
    }
}
