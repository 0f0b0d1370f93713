using System.CommandLine;
using System.Net.Security;

namespace Proxy.Server.Admin;

/// <summary><c>health</c>: asks a running proxy whether it is ready; for container health checks, which have no curl.</summary>
internal static class HealthCommand
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(5);

    public static Command Build()
    {
        var admin = new Option<string>("--admin")
        {
            Description = "Admin address of the running proxy, or its URL. On loopback HTTPS is asked where plain HTTP is not answered, and any certificate is taken.",
            HelpName = "HOST:PORT",
            DefaultValueFactory = _ => "127.0.0.1:9001",
        };
        var command = new Command("health", "Ask a running proxy whether it is ready; exit code 0 when it is.") { admin };
        command.SetAction((parsed, cancellation) => AskAsync(parsed.GetValue(admin)!, cancellation));
        return command;
    }

    private static async Task<int> AskAsync(string admin, CancellationToken cancellation)
    {
        if (AdminClient.AddressOf(admin) is not { } address)
        {
            await Console.Error.WriteLineAsync($"--admin {admin} is neither HOST:PORT nor a URL.");
            return 1;
        }

        using var client = Client(address);
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        patience.CancelAfter(Patience);
        try
        {
            HttpResponseMessage answer;
            try
            {
                answer = await client.GetAsync(new Uri(address, "/health/ready"), patience.Token);
            }
            catch (HttpRequestException) when (address.IsLoopback && !admin.Contains("://", StringComparison.Ordinal))
            {
                // An image's health check does not know whether Admin:Tls was configured for the proxy inside.
                answer = await client.GetAsync(new Uri($"https://{admin}/health/ready"), patience.Token);
            }

            using (answer)
            {
                await Console.Out.WriteAsync(await answer.Content.ReadAsStringAsync(patience.Token));
                return answer.IsSuccessStatusCode ? 0 : 1;
            }
        }
        catch (Exception e) when (e is HttpRequestException or OperationCanceledException)
        {
            await Console.Error.WriteLineAsync($"{admin} does not answer: {e.Message}");
            return 1;
        }
    }

    private static HttpClient Client(Uri address)
    {
        var handler = new SocketsHttpHandler { UseProxy = false }; // HTTP_PROXY is for the backend's clouds, and cannot reach this machine's loopback
        if (address.IsLoopback)
        {
            // The certificate is for the name that others know this machine by; nothing secret is asked or told.
            handler.SslOptions.RemoteCertificateValidationCallback = static (_, _, _, errors) => !errors.HasFlag(SslPolicyErrors.RemoteCertificateNotAvailable);
        }

        return new HttpClient(handler) { Timeout = Timeout.InfiniteTimeSpan };
    }
}
