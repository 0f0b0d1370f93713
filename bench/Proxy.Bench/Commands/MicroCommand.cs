using System.CommandLine;
using BenchmarkDotNet.Configs;
using BenchmarkDotNet.Jobs;
using BenchmarkDotNet.Running;
using BenchmarkDotNet.Toolchains.InProcess.Emit;

namespace Proxy.Bench.Commands;

/// <summary><c>proxy-bench micro</c>: BenchmarkDotNet over the hot types; what follows <c>--</c> is BenchmarkDotNet's own, as <c>-- --filter *Catalog*</c>.</summary>
internal static class MicroCommand
{
    public static Command Build()
    {
        var arguments = new Argument<string[]>("arguments") { Description = "BenchmarkDotNet's, such as --filter *Catalog*", DefaultValueFactory = _ => ["--filter", "*"] };
        var command = new Command("micro", "Microbenchmarks of the hot types (write -- before BenchmarkDotNet's options)") { arguments };
        command.SetAction((values, _) =>
        {
            // In this process: the types are internal, and a project generated per run would need the whole build.
            var config = DefaultConfig.Instance.AddJob(Job.ShortRun.WithToolchain(InProcessEmitToolchain.Instance));
            BenchmarkSwitcher.FromAssembly(typeof(MicroCommand).Assembly).Run(values.GetRequiredValue(arguments), config);
            return Task.FromResult(ExitCode.Good);
        });
        return command;
    }
}
