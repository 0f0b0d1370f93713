using System.CommandLine;
using Proxy.Bench.Http;

namespace Proxy.Bench.Commands;

/// <summary>The options every command that talks to a server has: where, as whom, how parallel, where the report goes.</summary>
/// <param name="withEndpoint">Whether there is one <c>--endpoint</c>; a command that takes several has an option of its own.</param>
internal sealed class TargetOptions(bool withEndpoint = true)
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

    public Option<int> Concurrency { get; } = new Option<int>("--concurrency")
    {
        Description = "Connections, each with one request in flight",
        DefaultValueFactory = _ => 16,
    }.AtLeast(1);

    public Option<FileInfo?> Json { get; } = new("--json") { Description = "Also write the report to this file, as JSON" };

    public void AddTo(Command command)
    {
        _endpoint.Validators.Add(result =>
        {
            var text = result.GetValueOrDefault<string>() ?? "";
            if (!EndpointText.TryRead(text, out _))
            {
                result.AddError($"--endpoint {text}: write it as http://host:port or https://host:port");
            }
        });
        Option[] options = [_accessKey, _secretKey, _region, _bucket, Concurrency, Json];
        foreach (var option in withEndpoint ? options.Prepend(_endpoint) : options)
        {
            command.Options.Add(option);
        }
    }

    /// <summary>The bucket that was asked for; null when none was.</summary>
    public string? GivenBucket(ParseResult values) => values.GetResult(_bucket) is { Implicit: false } ? values.GetValue(_bucket) : null;

    public S3Target Read(ParseResult values)
    {
        _ = EndpointText.TryRead(values.GetRequiredValue(_endpoint), out var endpoint);
        return Read(values, endpoint!);
    }

    public S3Target Read(ParseResult values, Uri endpoint) => new(
        endpoint,
        values.GetValue(_accessKey) ?? Environment.GetEnvironmentVariable("AWS_ACCESS_KEY_ID") ?? "minioadmin",
        values.GetValue(_secretKey) ?? Environment.GetEnvironmentVariable("AWS_SECRET_ACCESS_KEY") ?? "minioadmin",
        values.GetRequiredValue(_region),
        values.GetRequiredValue(_bucket));
}
