using System.CommandLine;
using BenchmarkDotNet.Configs;
using BenchmarkDotNet.Jobs;
using BenchmarkDotNet.Reports;
using BenchmarkDotNet.Running;
using BenchmarkDotNet.Toolchains.InProcess.Emit;
using Proxy.Bench.Micro;
using Proxy.Bench.Workloads;

namespace Proxy.Bench.Commands;

/// <summary><c>proxy-bench micro</c>: BenchmarkDotNet over the hot types; what follows <c>--</c> is BenchmarkDotNet's own, as <c>-- --filter *Catalog*</c>.</summary>
internal static class MicroCommand
{
    private const int Large = 10_000_000;

    /// <summary>Arguments with which nothing is meant to run.</summary>
    private static readonly string[] Questions = ["--list", "--help", "--version", "--info"];

    public static Command Build()
    {
        var arguments = new Argument<string[]>("arguments") { Description = "BenchmarkDotNet's, such as --filter *Catalog*", DefaultValueFactory = _ => ["--filter", "*"] };
        var large = new Option<bool>("--ten-million") { Description = "Also a catalog of ten million entries: 10 GiB of memory" };
        var command = new Command("micro", "Microbenchmarks of the hot types (write -- before BenchmarkDotNet's options)") { arguments, large };
        command.SetAction((values, _) =>
        {
            if (values.GetValue(large))
            {
                CatalogBenchmarks.Sizes.Add(Large);
            }

            // In this process: the types are internal, and a project generated per run would need the whole build.
            var config = DefaultConfig.Instance.AddJob(Job.ShortRun.WithToolchain(InProcessEmitToolchain.Instance));
            var given = values.GetRequiredValue(arguments);
            var summaries = BenchmarkSwitcher.FromAssembly(typeof(MicroCommand).Assembly).Run(given, config).ToList();
            RunFailedException.Unless(summaries.Count > 0 || given.Any(argument => Questions.Contains(argument)), $"no benchmark is called like that: {string.Join(' ', given)}");
            var missing = summaries.SelectMany(Missing).ToList();
            foreach (var one in missing)
            {
                Console.WriteLine($"NO RESULT {one}");
            }

            Console.WriteLine($"micro: {(missing.Count == 0 ? "good" : "NOT GOOD")}: {summaries.Sum(summary => summary.BenchmarksCases.Length)} benchmarks, {missing.Count} without a result");
            return Task.FromResult(missing.Count == 0 ? ExitCode.Good : ExitCode.Wrong);
        });
        return command;
    }

    /// <summary>What the table shows as NA: it threw, was refused, or was never run.</summary>
    private static IEnumerable<string> Missing(Summary summary)
        => summary.BenchmarksCases.Where(one => summary[one] is not { Success: true, ResultStatistics: not null }).Select(one => one.DisplayInfo);
}
