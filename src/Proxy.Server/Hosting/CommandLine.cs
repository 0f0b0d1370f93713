using System.CommandLine;

namespace Proxy.Server.Hosting;

/// <summary>The everyday flags, each of which is a configuration key with a shorter name.</summary>
internal static class CommandLine
{
    private static readonly (Option<string?> Option, string Key)[] Settings =
    [
        (Text("--listen", "Where S3 is served. Default 127.0.0.1:9000.", "HOST:PORT"), "S3:Listen"),
        (Text("--admin", "Where console, metrics and health are served. Default 127.0.0.1:9001.", "HOST:PORT"), "Admin:Listen"),
        (Text("--data", "Folder of the local store and the cache. Default ./data.", "DIR"), "Data"),
        (Text("--backend-endpoint", "S3 endpoint to stand in front of; without it the embedded local store is the backend.", "URL"), "Backend:Endpoints:0"),
        (Text("--backend-access-key", "Access key for the backend.", "KEY"), "Backend:AccessKey"),
        (Text("--backend-secret-key", "Secret key for the backend.", "SECRET"), "Backend:SecretKey"),
        (Text("--backend-region", "Region the backend's signatures are scoped to. Default us-east-1.", "REGION"), "Backend:Region"),
        (Text("--memory", "Memory for cached blocks, such as 1GiB.", "SIZE"), "Cache:Memory:CapacityBytes"),
        (Text("--nvme", "Disk for cached blocks, such as 200GiB; 0 turns the tier off. Default 64GiB; 0 with the local store, on whose disk it would be a second copy.", "SIZE"), "Cache:Nvme:CapacityBytes"),
    ];

    private static readonly Option<string?> ConfigFile = Text("--config", "Configuration file (JSON with comments). Default ./config/proxy.json if it is there.", "FILE");

    private static readonly Option<string[]> Set = new("--set")
    {
        Description = "Any other configuration key, such as --set Cache:BlockSizeBytes=512KiB; may be repeated.",
        HelpName = "KEY=VALUE",
        AllowMultipleArgumentsPerToken = false,
    };

    /// <param name="serve">Runs the proxy with the settings of the command line; its result is the exit code.</param>
    /// <param name="subcommands">health, admin …</param>
    public static RootCommand Build(Func<CommandLineSettings, CancellationToken, Task<int>> serve, IEnumerable<Command> subcommands)
    {
        var root = new RootCommand("S3 tier proxy: serves hot S3 reads of Milvus and its like from RAM and NVMe, in front of any S3 backend or its own local store.")
        {
            ConfigFile,
            Set,
        };
        foreach (var (option, _) in Settings)
        {
            root.Add(option);
        }

        foreach (var command in subcommands)
        {
            root.Add(command);
        }

        root.SetAction(async (parsed, cancellation) =>
        {
            CommandLineSettings settings;
            try
            {
                settings = Read(parsed);
            }
            catch (ConfigurationException e)
            {
                await Console.Error.WriteLineAsync(e.Message);
                return ConfigurationException.ExitCode;
            }

            return await serve(settings, cancellation);
        });
        return root;
    }

    /// <exception cref="ConfigurationException">A --set has no '='.</exception>
    private static CommandLineSettings Read(ParseResult parsed)
    {
        var values = new Dictionary<string, string?>(StringComparer.OrdinalIgnoreCase);
        foreach (var pair in parsed.GetValue(Set) ?? [])
        {
            var equals = pair.IndexOf('=', StringComparison.Ordinal);
            if (equals <= 0)
            {
                throw new ConfigurationException($"--set {pair}: write it as KEY=VALUE, such as --set Cache:BlockSizeBytes=512KiB.");
            }

            values[pair[..equals]] = pair[(equals + 1)..];
        }

        foreach (var (option, key) in Settings)
        {
            if (parsed.GetValue(option) is { } value)
            {
                values[key] = value;
            }
        }

        return new CommandLineSettings(parsed.GetValue(ConfigFile), values);
    }

    private static Option<string?> Text(string name, string description, string helpName) => new(name) { Description = description, HelpName = helpName };
}

/// <param name="ConfigFile">Named on the command line; null when not.</param>
/// <param name="Values">Configuration keys set on the command line.</param>
internal sealed record CommandLineSettings(string? ConfigFile, IReadOnlyDictionary<string, string?> Values);

/// <summary>The configuration cannot be used; the message says what to change. Ends the process with <see cref="ExitCode"/>.</summary>
internal sealed class ConfigurationException(string message) : Exception(message)
{
    public const int ExitCode = 2;
}
