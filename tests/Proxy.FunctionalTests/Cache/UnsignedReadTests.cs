using System.Text;
using Proxy.FunctionalTests.Faults;
using Proxy.FunctionalTests.Hosting;
using Proxy.FunctionalTests.Operations.Wire;
using Proxy.S3.Auth;

namespace Proxy.FunctionalTests.Cache;

/// <summary>Promise 7 in front of a remote backend: a read without a valid signature is refused before anything is asked or answered, whether the key is cached or not.</summary>
public sealed class UnsignedReadTests
{
    private const string Bucket = "guarded";
    private static readonly byte[] Content = Encoding.ASCII.GetBytes(string.Concat(Enumerable.Repeat("what nobody may see. ", 5000)));

    /// <summary>One key of each class: what is cached for good, what is asked about again, and what is forwarded.</summary>
    [Theory]
    [InlineData("files/index_files/1/1/1/1/HNSW_0", "HIT-MEMORY")]
    [InlineData("some/key", "HIT-MEMORY")]
    [InlineData("files/wp/1/1/0.blk", "BYPASS")]
    public async Task WithoutAValidSignature_ColdOrHot_NoByteIsAnsweredAndNothingAsked(string key, string warm)
    {
        await using var backend = await FaultyBackend.StartAsync(0, Bucket);
        backend.Store.TryPut(Bucket, key, FaultyObject.Of(Content));

        // Asked about again at every read, the one class would show that it was let in.
        await using var proxy = await ProxyProcess.StartAsync(["--nvme", "0", "--set", "Cache:RevalidateTtl=1.00:00:00"], new Uri(backend.Url));
        await using var s3 = new S3Wire(proxy.Endpoint, Bucket);
        await RefusedAsync(backend, s3, key);

        Assert.Equal(Content, (await s3.GetAsync("/" + key)).Expect(200).Body);
        Assert.NotEqual(0, Asked(backend, key));
        var hot = (await s3.GetAsync("/" + key)).Expect(200);
        Assert.Equal(Content, hot.Body);
        Assert.Equal(warm, hot.Header("X-Cache"));
        await RefusedAsync(backend, s3, key);
    }

    private static async Task RefusedAsync(FaultyBackend backend, S3Wire s3, string key)
    {
        var asked = Asked(backend, key);
        foreach (var method in (string[])["GET", "HEAD"])
        {
            foreach (var range in (string?[])[null, "bytes=0-0", "bytes=100-60000", "bytes=-5"])
            {
                var right = new WireRequest(method, $"/{Bucket}/{key}") { Headers = range is null ? [] : [new("Range", range)] };
                var presigned = right with { Signing = Signing.Presigned };
                var ofAnother = new RequestSigner("us-east-1", TimeProvider.System)
                    .Presign(method, $"/{Bucket}/another", s3.Endpoint.Authority, right.Headers, TimeSpan.FromMinutes(5), S3Wire.Admin).Replace("/another?", $"/{key}?", StringComparison.Ordinal);
                (WireRequest Request, string Code)[] wrong =
                [
                    (right with { Signing = Signing.None }, "AccessDenied"),
                    (right with { Credential = new Credential(S3Wire.Admin.AccessKey, "wrongsecret") }, "SignatureDoesNotMatch"),
                    (right with { Credential = new Credential("unknown-key", S3Wire.Admin.SecretKey) }, "InvalidAccessKeyId"),
                    (right with { ClockOffset = TimeSpan.FromMinutes(-16) }, "RequestTimeTooSkewed"),
                    (presigned with { Credential = new Credential(S3Wire.Admin.AccessKey, "wrongsecret") }, "SignatureDoesNotMatch"),
                    (presigned with { Credential = new Credential("unknown-key", S3Wire.Admin.SecretKey) }, "InvalidAccessKeyId"),
                    (presigned with { Expires = TimeSpan.FromMinutes(1), ClockOffset = TimeSpan.FromSeconds(-62) }, "AccessDenied"),
                    (right with { Target = ofAnother, Signing = Signing.None }, "SignatureDoesNotMatch"),
                ];
                foreach (var (request, code) in wrong)
                {
                    var answer = (await s3.SendAsync(request)).Expect(403, code);
                    Assert.DoesNotContain("nobody may see", answer.Text, StringComparison.Ordinal);
                    Assert.Null(answer.ETag);
                }
            }
        }

        Assert.Equal(asked, Asked(backend, key));
    }

    private static int Asked(FaultyBackend backend, string key) => backend.Requests.Count(request => request.RawTarget.Contains(key, StringComparison.Ordinal));
}
