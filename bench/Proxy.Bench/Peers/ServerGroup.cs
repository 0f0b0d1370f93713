using Proxy.Bench.Workloads;
using Spectre.Console;

namespace Proxy.Bench.Peers;

/// <summary>Servers that run side by side, each within a memory limit if there is one; they end together.</summary>
internal sealed class ServerGroup : IAsyncDisposable
{
    private readonly List<MemoryLimit> _limits = [];

    private ServerGroup(IReadOnlyList<BenchServer> servers) => Servers = servers;

    public IReadOnlyList<BenchServer> Servers { get; }

    /// <param name="limitBytes">Of each server's memory, page cache included; null for none. What only sends from memory has none.</param>
    /// <exception cref="RunFailedException">One did not start, or cannot be limited; those that had are ended.</exception>
    public static async Task<ServerGroup> StartAsync(IReadOnlyList<BenchServer> servers, long? limitBytes, IAnsiConsole console, CancellationToken cancellation)
    {
        var group = new ServerGroup(servers);
        try
        {
            foreach (var server in servers)
            {
                await server.StartAsync(cancellation);
                console.WriteLine($"{server.Name} on {server.Listen}: {server.Description}");
                if (limitBytes is { } bytes && server is not CeilingServer)
                {
                    group.Limit(server, bytes);
                }
            }

            return group;
        }
        catch
        {
            await group.DisposeAsync();
            throw;
        }
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var server in Servers)
        {
            await server.DisposeAsync();
        }

        _limits.ForEach(limit => limit.Dispose());
    }

    private void Limit(BenchServer server, long bytes)
    {
        var limit = MemoryLimit.TryCreate(server.Name, bytes, out var why);
        RunFailedException.Unless(limit is not null, $"every server's memory is to be limited, page cache included, and {why}: run it as root");
        _limits.Add(limit!);
        limit!.Hold(server);
    }
}
