using Spectre.Console;

namespace Proxy.Bench.Report;

/// <summary>The console reports go to: as it is for a person, plain and wide for a file or a pipe.</summary>
internal static class Terminal
{
    private const int PlainWidth = 200;

    public static IAnsiConsole Open()
    {
        if (!Console.IsOutputRedirected)
        {
            return AnsiConsole.Console;
        }

        var console = AnsiConsole.Create(new AnsiConsoleSettings { Ansi = AnsiSupport.No, ColorSystem = ColorSystemSupport.NoColors, Interactive = InteractionSupport.No });
        console.Profile.Width = PlainWidth;
        return console;
    }
}
