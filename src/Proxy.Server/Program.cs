using System.CommandLine;
using Proxy.Server.Admin;
using Proxy.Server.Hosting;

NativeHeap.LimitArenas();

// Told to stop, the server ends by S3:ShutdownTimeout. The command line's own patience, two seconds by default, would cut off every answer that takes longer.
return await CommandLine.Build(ProxyHost.RunAsync, [HealthCommand.Build(), AdminCommand.Build()]).Parse(args)
    .InvokeAsync(new InvocationConfiguration { ProcessTerminationTimeout = Timeout.InfiniteTimeSpan });
