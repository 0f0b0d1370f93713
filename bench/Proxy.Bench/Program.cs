using System.CommandLine;
using Proxy.Bench.Commands;

var root = new RootCommand("Writes, checks and loads S3 endpoints the way Milvus does.")
{
    DatasetCommands.Dataset(),
    DatasetCommands.Verify(),
    LoadCommand.Build(),
};

return await root.Parse(args).InvokeAsync();
