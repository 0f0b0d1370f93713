using System.CommandLine;
using System.Globalization;
using Proxy.Bench.Http;
using Proxy.Bench.Milvus;
using Proxy.Bench.Workloads;

namespace Proxy.Bench.Commands;

/// <summary>The options that name endpoints somebody else runs, and where on them a run writes.</summary>
internal sealed class EndpointOptions
{
    private readonly Option<string[]> _endpoints = new("--endpoint")
    {
        Description = "A running endpoint, as NAME=http://host:port (keys from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, else minioadmin); may be repeated. Without one, a backend and a proxy before it are started",
        DefaultValueFactory = _ => [],
    };

    private readonly Option<string[]> _origins = new("--origin")
    {
        Description = "The backend behind an endpoint, as NAME=http://host:port: what W5 loads is written there, so that the endpoint has not seen it. An endpoint that is a backend names itself: the others are compared with it. Keys from ORIGIN_ACCESS_KEY_ID and ORIGIN_SECRET_ACCESS_KEY, else the endpoints'",
        DefaultValueFactory = _ => [],
    };

    private readonly Option<string[]> _processes = new("--pid") { Description = "Process of an endpoint on this machine, as NAME=PID: its CPU, with its children's, is reported", DefaultValueFactory = _ => [] };
    private readonly Option<string> _bucket = new("--bucket") { Description = "Bucket; made when it is not there, and removed again", DefaultValueFactory = _ => "a-bucket" };
    private readonly Option<string> _root = new("--root") { Description = "Key prefix of everything written (Milvus's minio.rootPath, which the proxy has as Cache:Milvus:RootPaths); must be empty, and is emptied at the end", DefaultValueFactory = _ => "files" };

    public void AddTo(Command command)
    {
        Option[] options = [_endpoints, _origins, _processes, _bucket, _root];
        foreach (var option in options)
        {
            command.Options.Add(option);
        }
    }

    public string Bucket(ParseResult values) => values.GetRequiredValue(_bucket);

    public string Root(ParseResult values)
    {
        var root = values.GetRequiredValue(_root).Trim('/');
        RunFailedException.Unless(root.Length > 0 && root.All(character => char.IsAsciiLetterOrDigit(character) || character is '-' or '_' or '.' or '/'), "--root wants letters, digits and - _ . /");
        return root;
    }

    /// <returns>None when the bench is to start its own.</returns>
    public IReadOnlyList<MilvusEndpoint> Read(ParseResult values)
    {
        var (access, secret) = (Variable("AWS_ACCESS_KEY_ID", "minioadmin"), Variable("AWS_SECRET_ACCESS_KEY", "minioadmin"));
        var bucket = Bucket(values);
        var endpoints = values.GetRequiredValue(_endpoints).Select(text => Pair("--endpoint", text, "NAME=http://host:port"))
            .Select(pair => new MilvusEndpoint(pair.Name, new S3Target(Address("--endpoint", pair.Value), access, secret, "us-east-1", bucket))).ToList();
        RunFailedException.Unless(endpoints.Select(endpoint => endpoint.Name).Distinct().Count() == endpoints.Count, "--endpoint: two have the same name");
        foreach (var (name, value) in values.GetRequiredValue(_origins).Select(text => Pair("--origin", text, "NAME=http://host:port")))
        {
            var address = Address("--origin", value);
            Change(name, "--origin", endpoint => endpoint with
            {
                Origin = endpoint.Target.Endpoint == address ? endpoint.Target : new S3Target(address, Variable("ORIGIN_ACCESS_KEY_ID", access), Variable("ORIGIN_SECRET_ACCESS_KEY", secret), "us-east-1", bucket),
            });
        }

        foreach (var (name, value) in values.GetRequiredValue(_processes).Select(text => Pair("--pid", text, "NAME=PID")))
        {
            RunFailedException.Unless(int.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out var process) && Directory.Exists($"/proc/{process}"), $"--pid {name}={value}: there is no such process on this machine");
            Change(name, "--pid", endpoint => endpoint with { ServerProcesses = [.. endpoint.ServerProcesses, process] });
        }

        return endpoints;

        void Change(string name, string option, Func<MilvusEndpoint, MilvusEndpoint> change)
        {
            var at = endpoints.FindIndex(endpoint => endpoint.Name == name);
            RunFailedException.Unless(at >= 0, $"{option}: no --endpoint is called {name}");
            endpoints[at] = change(endpoints[at]);
        }
    }

    private static (string Name, string Value) Pair(string option, string text, string form)
    {
        var words = text.Split('=', 2);
        RunFailedException.Unless(words.Length == 2 && words[0].Length > 0, $"{option} {text}: write it as {form}");
        return (words[0], words[1]);
    }

    private static Uri Address(string option, string text)
    {
        RunFailedException.Unless(EndpointText.TryRead(text, out var address), $"{option} {text}: write the address as http://host:port");
        return address!;
    }

    private static string Variable(string name, string otherwise) => Environment.GetEnvironmentVariable(name) is { Length: > 0 } value ? value : otherwise;
}
