using System.CommandLine;

namespace Proxy.Server.Admin;

/// <summary><c>health</c>: asks a running proxy whether it is ready; for container health checks, which have no curl.</summary>
internal static class HealthCommand
{
    public static Command Build()
    {
        var admin = new Option<string>("--admin") { Description = "Admin address of the running proxy.", HelpName = "HOST:PORT", DefaultValueFactory = _ => "127.0.0.1:9001" };
        var command = new Command("health", "Ask a running proxy whether it is ready; exit code 0 when it is.") { admin };
        command.SetAction((parsed, cancellation) => AskAsync(parsed.GetValue(admin)!, cancellation));
        return command;
    }

    private static async Task<int> AskAsync(string admin, CancellationToken cancellation)
    {
        using var client = new HttpClient { Timeout = TimeSpan.FromSeconds(5) };
        try
        {
            using var answer = await client.GetAsync(new Uri($"http://{admin}/health/ready"), cancellation);
            await Console.Out.WriteAsync(await answer.Content.ReadAsStringAsync(cancellation));
            return answer.IsSuccessStatusCode ? 0 : 1;
        }
        catch (Exception e) when (e is HttpRequestException or TaskCanceledException)
        {
            await Console.Error.WriteLineAsync($"{admin} does not answer: {e.Message}");
            return 1;
        }
    }
}
