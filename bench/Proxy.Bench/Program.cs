using System.CommandLine;
using Proxy.Bench.Commands;
using Proxy.Bench.Shape;

var root = new RootCommand("Writes, checks, loads and compares S3 endpoints the way Milvus uses them.")
{
    DatasetCommands.Dataset(),
    DatasetCommands.Verify(),
    LoadCommand.Build(),
    CompareCommand.Build(),
    CompareCommand.Ceiling(),
    CatalogCommand.Build(),
    MilvusCommand.Build(),
    PaperCommand.Build(),
    SoakCommand.Build(),
    TraceCommands.Record(),
    TraceCommands.Replay(),
    ShapeCommand.Build(),
    RelayControl.Build(),
    MicroCommand.Build(),
};

return await BenchProgram.RunAsync(root, args);
