using System.CommandLine;
using Proxy.Bench.Http;

namespace Proxy.Bench.Commands;

/// <summary>The options every command that talks to a server has: where, as whom, how parallel, where the report goes.</summary>
internal sealed class TargetOptions
{
    private readonly Option<string> _endpoint = new("--endpoint")
    {
        Description = "S3 endpoint, as http://host:port",
        DefaultValueFactory = _ => "http://127.0.0.1:9000",
    };

    // No DefaultValueFactory for the keys: help prints defaults, and these can come from the environment.
    private readonly Option<string?> _accessKey = new("--access-key") { Description = "Access key; else AWS_ACCESS_KEY_ID, else minioadmin" };

    private readonly Option<string?> _secretKey = new("--secret-key") { Description = "Secret key; else AWS_SECRET_ACCESS_KEY, else minioadmin" };

    private readonly Option<string> _region = new("--region") { Description = "Region in the signature", DefaultValueFactory = _ => "us-east-1" };

    private readonly Option<string> _bucket = new("--bucket") { Description = "Bucket", DefaultValueFactory = _ => "a-bucket" };

    public Option<int> Concurrency { get; } = new("--concurrency")
    {
        Description = "Connections, each with one request in flight",
        DefaultValueFactory = _ => 16,
    };

    public Option<FileInfo?> Json { get; } = new("--json") { Description = "Also write the report to this file, as JSON" };

    public void AddTo(Command command)
    {
        _endpoint.Validators.Add(result =>
        {
            if (!TryReadEndpoint(result.GetValueOrDefault<string>() ?? "", out _))
            {
                result.AddError("--endpoint wants an http or https address, as http://host:port");
            }
        });
        Concurrency.Validators.Add(result =>
        {
            if (result.GetValueOrDefault<int>() < 1)
            {
                result.AddError("--concurrency must be at least 1");
            }
        });
        Option[] options = [_endpoint, _accessKey, _secretKey, _region, _bucket, Concurrency, Json];
        foreach (var option in options)
        {
            command.Options.Add(option);
        }
    }

    public S3Target Read(ParseResult values)
    {
        _ = TryReadEndpoint(values.GetRequiredValue(_endpoint), out var endpoint);
        return new S3Target(
            endpoint!,
            values.GetValue(_accessKey) ?? Environment.GetEnvironmentVariable("AWS_ACCESS_KEY_ID") ?? "minioadmin",
            values.GetValue(_secretKey) ?? Environment.GetEnvironmentVariable("AWS_SECRET_ACCESS_KEY") ?? "minioadmin",
            values.GetRequiredValue(_region),
            values.GetRequiredValue(_bucket));
    }

    private static bool TryReadEndpoint(string text, out Uri? endpoint)
        => Uri.TryCreate(text.Contains("://", StringComparison.Ordinal) ? text : "http://" + text, UriKind.Absolute, out endpoint)
            && endpoint.Scheme is "http" or "https";
}
