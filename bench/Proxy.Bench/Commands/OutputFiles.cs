using System.CommandLine;
using System.CommandLine.Parsing;
using Proxy.Bench.Report;
using Proxy.Bench.Workloads;

namespace Proxy.Bench.Commands;

/// <summary>The files a command is told to write: tried before it runs, since an hour's figures without a place to go are lost.</summary>
internal static class OutputFiles
{
    private static readonly string[] Files = ["--json", "--csv", "--html"];

    public static Option<FileInfo?> Csv() => new("--csv") { Description = "Also write the figures to this file" };

    public static Option<FileInfo?> Html() => new("--html") { Description = "Also write a page with tables and plots" };

    public static Option<DirectoryInfo?> Png() => new("--png") { Description = "Also write the plots into this folder, as PNG files" };

    /// <exception cref="RunFailedException">One of them cannot be written.</exception>
    public static void Check(ParseResult values)
    {
        foreach (var result in values.CommandResult.Children.OfType<OptionResult>().Where(result => !result.Implicit))
        {
            var name = result.Option.Name;
            if (result.Option is Option<FileInfo?> file && Files.Contains(name))
            {
                Require(name, values.GetValue(file)!.FullName);
            }
            else if (result.Option is Option<DirectoryInfo?> folder && name == "--png")
            {
                RequireFolder(name, values.GetValue(folder)!.FullName);
            }
        }
    }

    /// <exception cref="RunFailedException">It cannot be written.</exception>
    public static void Require(string option, string path)
    {
        try
        {
            var isNew = !File.Exists(path);
            using (new FileStream(path, FileMode.OpenOrCreate, FileAccess.Write))
            {
                // What it holds stays until there is something to write instead.
            }

            if (isNew)
            {
                File.Delete(path);
            }
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new RunFailedException($"{option} {path} cannot be written: {error.Message}");
        }
    }

    /// <summary>Writes a page and its plots, as they are asked for; also of a run that was interrupted, so whatever was cancelled.</summary>
    public static async Task SaveAsync(Func<HtmlPage> page, FileInfo? html, DirectoryInfo? png)
    {
        if (html is null && png is null)
        {
            return;
        }

        var made = page();
        if (html is not null)
        {
            await made.SaveAsync(html, CancellationToken.None);
        }

        if (png is not null)
        {
            await made.SaveImagesAsync(png, CancellationToken.None);
        }
    }

    private static void RequireFolder(string option, string path)
    {
        try
        {
            Directory.CreateDirectory(path);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new RunFailedException($"{option} {path} cannot be made: {error.Message}");
        }

        Require(option, Path.Combine(path, ".proxy-bench"));
    }
}
