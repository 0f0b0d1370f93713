using System.CommandLine;
using Proxy.Bench.Peers;
using Proxy.Bench.Shape;

namespace Proxy.Bench.Commands;

/// <summary>The options of commands that start backends and proxies themselves.</summary>
internal sealed class StackOptions
{
    private readonly Option<string?> _proxy = new("--proxy") { Description = "Proxy.Server.dll to measure; default the one built beside this bench" };

    public Option<string> Scale { get; } = new("--scale") { Description = "XS fits a laptop (0.5 GiB of segments); S 4 GiB of them, M 30 GiB, and for milvus as much again of their indexes", DefaultValueFactory = _ => "XS" };

    public Option<long> Memory { get; } = ByteSize.Option("--memory", "The proxy's memory tier", 1 << 30);

    public Option<long> Nvme { get; } = ByteSize.Option("--nvme", "The proxy's NVMe tier; 0 is none, all in memory", 0, orNone: true);

    public Option<int> Ports { get; } = new("--ports") { Description = "First of the ports to listen on, on 127.0.0.1", DefaultValueFactory = _ => 19920 };

    public Option<FileInfo?> Json { get; } = new("--json") { Description = "Also write the result to this file" };

    public static Option<string> Profile(string byDefault)
    {
        var option = new Option<string>("--profile") { Description = $"How the backend answers: {string.Join("; ", BackendProfile.All)}", DefaultValueFactory = _ => byDefault };
        option.AcceptOnlyFromAmong([.. BackendProfile.All.Select(profile => profile.Name)]);
        return option;
    }

    /// <param name="withScale">Whether the command's data comes in the scales of the Milvus workloads.</param>
    public void AddTo(Command command, bool withScale = true)
    {
        Scale.AcceptOnlyFromAmong("T", "XS", "S", "M");
        Option[] options = [_proxy, Memory, Nvme, Ports, Json];
        foreach (var option in withScale ? options.Append(Scale) : options)
        {
            command.Options.Add(option);
        }
    }

    public string Assembly(ParseResult values) => values.GetValue(_proxy) is { } path ? Path.GetFullPath(path) : ProxyServer.FindAssembly();
}
