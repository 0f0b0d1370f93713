using Proxy.Server.Admin;
using Proxy.Server.Hosting;

return await CommandLine.Build(ProxyHost.RunAsync, [HealthCommand.Build(), AdminCommand.Build()]).Parse(args).InvokeAsync();
