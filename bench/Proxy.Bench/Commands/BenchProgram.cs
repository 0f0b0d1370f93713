using System.CommandLine;
using System.CommandLine.Parsing;
using System.Net.Sockets;
using Proxy.Bench.Workloads;

namespace Proxy.Bench.Commands;

/// <summary>How a command ended, as the shell sees it.</summary>
internal static class ExitCode
{
    /// <summary>It ran, and nothing was wrong.</summary>
    public const int Good = 0;

    /// <summary>It ran, and what it looked at was wrong: a byte, a status, a figure that had to hold.</summary>
    public const int Wrong = 1;

    /// <summary>It could not be done: the command line, a file, a port, a server that does not answer.</summary>
    public const int Refused = 2;

    /// <summary>Ctrl-C or a termination: 128 and SIGINT's number, as shells have it.</summary>
    public const int Interrupted = 130;
}

/// <summary>How every command begins and ends: what keeps it from being done is told in a line, never as a stack trace.</summary>
internal static class BenchProgram
{
    private static readonly InvocationConfiguration Configuration = new()
    {
        EnableDefaultExceptionHandler = false,

        // Servers end and their data goes before the process does; tens of gigabytes take a while.
        ProcessTerminationTimeout = TimeSpan.FromMinutes(1),
    };

    public static async Task<int> RunAsync(RootCommand root, string[] args)
    {
        var values = root.Parse(args);
        var command = values.CommandResult.Command;
        if (values.Errors.Count > 0)
        {
            return command == root
                ? Refuse("proxy-bench", $"say what to do: {string.Join(", ", root.Subcommands.Where(one => !one.Hidden).Select(one => one.Name))}; --help has more")
                : Refuse(command.Name, [.. values.Errors.Select(InALine).Distinct()]);
        }

        try
        {
            OutputFiles.Check(values);
            return await values.InvokeAsync(Configuration);
        }
        catch (OperationCanceledException)
        {
            await Console.Error.WriteLineAsync($"{command.Name}: interrupted");
            return ExitCode.Interrupted;
        }
        catch (SocketException error) when (error.SocketErrorCode == SocketError.AddressAlreadyInUse)
        {
            return Refuse(command.Name, "a port to listen on is in use: choose others with --ports, or --listen");
        }
        catch (Exception error) when (error is RunFailedException or IOException or UnauthorizedAccessException or SocketException)
        {
            return Refuse(command.Name, error.Message);
        }
    }

    /// <summary>The command as it can be run again.</summary>
    public static string Line(ParseResult values) => "proxy-bench " + string.Join(' ', values.Tokens.Select(token => token.Value));

    /// <summary>What the parser says, without .NET's types, which tell nobody anything, and with the option, which it may leave out.</summary>
    private static string InALine(ParseError error)
    {
        var message = error.Message.IndexOf(" as expected type ", StringComparison.Ordinal) is >= 0 and var end ? error.Message[..end] : error.Message;
        var words = string.Join(' ', message.Split((char[])[' ', '\t', '\r', '\n'], StringSplitOptions.RemoveEmptyEntries));
        return error.SymbolResult is OptionResult { Option.Name: var name } && !words.Contains(name, StringComparison.Ordinal) ? $"{name}: {words}" : words;
    }

    private static int Refuse(string command, params ReadOnlySpan<string> lines)
    {
        foreach (var line in lines)
        {
            Console.Error.WriteLine($"{command}: {line}");
        }

        return ExitCode.Refused;
    }
}
