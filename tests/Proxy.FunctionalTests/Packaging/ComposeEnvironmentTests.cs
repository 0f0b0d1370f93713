using System.Text.RegularExpressions;
using Proxy.FunctionalTests.Faults;
using Proxy.FunctionalTests.Hosting;
using Proxy.FunctionalTests.Operations.Wire;
using Proxy.S3.Auth;
using Proxy.S3.Checksums;

namespace Proxy.FunctionalTests.Packaging;

/// <summary>The built server under exactly the environment that each compose file gives it; only the address of its backend is another.</summary>
public sealed partial class ComposeEnvironmentTests
{
    private static readonly Dictionary<string, string> Operator = new(StringComparer.Ordinal)
    {
        ["AWS_REGION"] = "eu-central-1",
        ["AWS_ACCESS_KEY_ID"] = "aws-key",
        ["AWS_SECRET_ACCESS_KEY"] = "aws-secret",
        ["S3_BUCKET"] = "company-milvus",
        ["PROXY_MEMORY"] = "128MiB",
        ["PROXY_NVME"] = "256MiB",
    };

    public static TheoryData<string> Files => [.. Directory.GetFiles(Path.Combine(Loopback.Repository, "config", "compose"), "*.yml").Select(file => Path.GetFileName(file)!)];

    [Fact]
    public void Files_AreFour() => Assert.Equal(4, Files.Count);

    [Theory]
    [MemberData(nameof(Files))]
    public async Task ServerUnderAComposeFilesEnvironment_ServesMilvussBucket(string file)
    {
        await using var backend = await FaultyBackend.StartAsync(0, "company-milvus");
        var environment = ReadEnvironment(file);
        var isRemote = environment.ContainsKey("Backend__Endpoints__0");
        Assert.Equal(file != "docker-compose.local.yml", isRemote);
        if (isRemote)
        {
            environment["Backend__Endpoints__0"] = backend.Url;
        }

        await using var proxy = await ProxyProcess.StartAsync(environment: environment);
        await using var s3 = new S3Wire(proxy.Endpoint, "a-bucket"); // as Milvus signs in, by the same pair
        if ((await s3.HeadAsync("")).Status == 404)
        {
            (await s3.PutAsync("", "")).Expect(200);
        }

        var bytes = new byte[] { 1, 2, 3 };
        (await s3.PutAsync("/files/insert_log/1/2/3/100/1", bytes)).Expect(200);
        Assert.Equal(bytes, (await s3.GetAsync("/files/insert_log/1/2/3/100/1")).Expect(200).Body);
        Assert.Contains("a-bucket", (await s3.SendAsync(new WireRequest("GET", "/"))).Expect(200).Values("Bucket", "Name"));
        if (isRemote)
        {
            var (bucket, key, secret) = file == "docker-compose.aws.yml" ? ("company-milvus", "aws-key", "aws-secret") : ("a-bucket", "minioadmin", "minioadmin");
            Assert.Equal(bytes, backend.Store.Find(bucket, "files/insert_log/1/2/3/100/1")!.Bytes);
            backend.Requests.Last().AssertSigned(key, secret, file == "docker-compose.aws.yml" ? "eu-central-1" : "us-east-1");
        }
    }

    /// <summary>What config/aws.json says that S3 needs, its compose file has too.</summary>
    [Fact]
    public async Task Aws_GetsTheChecksumsThatClientsSendInTrailers()
    {
        await using var backend = await FaultyBackend.StartAsync(0, "company-milvus");
        var environment = ReadEnvironment("docker-compose.aws.yml");
        environment["Backend__Endpoints__0"] = backend.Url;
        await using var proxy = await ProxyProcess.StartAsync(environment: environment);
        await using var s3 = new S3Wire(proxy.Endpoint, "a-bucket");
        (await s3.SendAsync(new WireRequest("PUT", "/a-bucket/k")
        {
            Body = "abc"u8.ToArray(),
            PayloadHash = PayloadHash.StreamingUnsignedTrailer,
            Trailers = [new(ChecksumAlgorithm.Crc32.ToHeaderName(), "NSRBwg==")],
        })).Expect(200);
        Assert.Equal(ChecksumAlgorithm.Crc32.ToHeaderName(), backend.Requests.Last().Header("x-amz-trailer"));
    }

    /// <summary>The environment of service proxy, with an operator's variables filled in as Compose does.</summary>
    private static Dictionary<string, string> ReadEnvironment(string file)
    {
        var lines = File.ReadAllLines(Path.Combine(Loopback.Repository, "config", "compose", file));
        var service = Array.IndexOf(lines, "  proxy:");
        var start = Array.IndexOf(lines, "    environment:", service) + 1;
        Assert.True(service > 0 && start > service);
        var environment = lines.Skip(start).TakeWhile(line => line.StartsWith("      ", StringComparison.Ordinal)).Where(line => !line.TrimStart().StartsWith('#'))
            .Select(line => line.Trim().Split(": ", 2)).ToDictionary(pair => pair[0], pair => Variable().Replace(pair[1].Trim('"'), FillIn), StringComparer.Ordinal);
        Assert.Contains("MINIO_ROOT_USER", environment.Keys);
        return environment;
    }

    private static string FillIn(Match variable)
        => Operator.TryGetValue(variable.Groups["name"].Value, out var value) ? value
        : variable.Groups["default"].Success ? variable.Groups["default"].Value
        : throw new InvalidOperationException($"{variable.Value} is set by nobody");

    [GeneratedRegex(@"\$\{(?<name>[A-Z0-9_]+)(?::-(?<default>[^}]*)|:\?[^}]*)?\}", RegexOptions.ExplicitCapture, 5000)]
    private static partial Regex Variable();
}
