using BenchmarkDotNet.Attributes;
using Proxy.S3.Auth;
using Proxy.S3.Requests;

namespace Proxy.Bench.Micro;

/// <summary>What every request costs before anything is looked up: target, range, operation, signature.</summary>
[MemoryDiagnoser]
public class RequestBenchmarks
{
    private const string Raw = "/a-bucket/files/index_files/450000000007/1/1002/450000000000/HNSW_12";
    private const string Host = "127.0.0.1:9000";

    private static readonly Credential Credential = new("minioadmin", "minioadmin");

    private readonly SignatureVerifier _verifier = new(new CredentialTable([Credential]), new SignatureOptions(), TimeProvider.System);
    private FixedHeaders _headers = new(new Dictionary<string, string>(StringComparer.OrdinalIgnoreCase));

    [GlobalSetup]
    public void Sign()
    {
        var signed = new RequestSigner("us-east-1", TimeProvider.System).Sign("GET", Raw, Host, [new("range", "bytes=1048576-1114111")], PayloadHash.Empty, Credential);
        _headers = new FixedHeaders(new Dictionary<string, string>(StringComparer.OrdinalIgnoreCase)
        {
            ["Host"] = Host,
            ["Range"] = "bytes=1048576-1114111",
            ["x-amz-date"] = signed.AmzDate,
            ["x-amz-content-sha256"] = signed.ContentSha256,
            ["Authorization"] = signed.Authorization,
        });
    }

    [Benchmark]
    public S3Operation ParseTargetRangeAndOperation()
    {
        var target = S3Target.Parse(Raw, Host, Addressing.PathStyle);
        _ = RangeHeader.TryParse(_headers["Range"], out _);
        return OperationResolver.Resolve("GET", target, _headers);
    }

    [Benchmark]
    public AuthenticatedRequest VerifySignature() => _verifier.Verify("GET", S3Target.Parse(Raw, Host, Addressing.PathStyle), _headers);
}
