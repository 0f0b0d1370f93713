using Proxy.FunctionalTests.Hosting;

namespace Proxy.FunctionalTests.Packaging;

/// <summary>config/compose: what its files claim about Milvus's service, read from the files themselves.</summary>
public sealed class ComposeTests
{
    [Fact]
    public async Task ComposeFiles_ChangeNothingOfMilvusButItsMinioAddress()
    {
        var check = Path.Combine(Loopback.Repository, "tests", "clients", "compose_check.py");
        foreach (var python in (string[])["python3", "/usr/bin/python3"])
        {
            if (await ToolProcess.SucceedsAsync(python, "-c", "import yaml"))
            {
                var result = await ToolProcess.RunAsync(python, [check, Path.Combine(Loopback.Repository, "config", "compose")], TimeSpan.FromMinutes(1));
                Assert.True(result.ExitCode == 0, result.Output);
                return;
            }
        }

        Assert.Skip("PyYAML is not installed: apt-get install python3-yaml");
    }
}
