using System.Net;
using System.Text;
using Proxy.FunctionalTests.Faults;
using Proxy.FunctionalTests.Hosting;

namespace Proxy.FunctionalTests.Backends;

/// <summary>What MinIO, Ceph and RustFS say differently from S3, and that clients hear it, or are spared it, through the proxy.</summary>
/// <remarks>
/// MinIO as seen on its release of 18 December 2024 and in minio/minio#20845. Ceph as seen on radosgw 16.2.15. RustFS was not run here: from its
/// docs/architecture/s3-compatibility-matrix.md and the issues of rustfs/rustfs that are named. The faulty backend speaks like them.
/// </remarks>
public sealed class WireDifferencesTests : IClassFixture<WireDifferencesTests.Servers>
{
    private readonly FaultyBackend _backend;
    private readonly S3Caller _s3;

    public WireDifferencesTests(Servers servers)
    {
        (_backend, _s3) = (servers.Backend, servers.S3);
        _backend.Heal();
        _backend.Requests.Clear();
    }

    [Fact]
    public async Task MinIO_DeleteObjectsWantsContentMd5_TheProxyAddsIt()
    {
        (await _s3.PutAsync("/a-bucket/k", [1])).Ok();
        (await _s3.SendAsync("POST", "/a-bucket?delete=", "<Delete><Object><Key>k</Key></Object></Delete>"u8.ToArray())).Ok();
        Assert.Null(_backend.Store.Find("a-bucket", "k"));
    }

    [Fact]
    public async Task MinIO_NextMarkerWithSuffix_PassesUntouchedBothWays()
    {
        const string Marker = "asdf[minio_cache:v2,return:]";
        _backend.Break("ListObjects", new Fault { Document = $"<ListBucketResult><Name>a-bucket</Name><IsTruncated>true</IsTruncated><NextMarker>{Marker}</NextMarker></ListBucketResult>" }, times: 1);
        Assert.Equal(Marker, (await _s3.GetAsync("/a-bucket?max-keys=1")).Ok().Only("NextMarker"));
        (await _s3.GetAsync("/a-bucket?marker=asdf%5Bminio_cache%3Av2%2Creturn%3A%5D")).Ok();
        Assert.Equal("/a-bucket?marker=asdf%5Bminio_cache%3Av2%2Creturn%3A%5D", _backend.Requests.Last().RawTarget);
    }

    [Fact]
    public async Task MinIO_CompleteASecondTime_IsNoSuchUpload()
    {
        var (target, document) = await UploadAsync("files/insert_log/1/2/3/100/7");
        (await _s3.SendAsync("POST", target, document)).Ok();
        Assert.Equal("NoSuchUpload", (await _s3.SendAsync("POST", target, document)).Is(HttpStatusCode.NotFound).Code);
    }

    [Fact]
    public async Task MinIO_412BeforeTheBodyWasRead_ReachesTheClient()
    {
        _backend.Break("PutObject", new Fault { Status = 412, BeforeBody = true }, times: 1);
        var answer = await _s3.PutAsync("/a-bucket/big", new byte[4 << 20], ("If-None-Match", "*"));
        Assert.Equal("PreconditionFailed", answer.Is(HttpStatusCode.PreconditionFailed).Code);
    }

    [Fact]
    public async Task Ceph_CompleteWithEmptyETag_IsNotPublishedAndReadsRight()
    {
        var (target, document) = await UploadAsync("files/insert_log/1/2/3/100/8");
        _backend.Break("CompleteMultipartUpload", new Fault { ETag = "" }, times: 1);
        (await _s3.SendAsync("POST", target, document)).Ok();
        var read = (await _s3.GetAsync("/a-bucket/files/insert_log/1/2/3/100/8")).Ok();
        Assert.Equal(_backend.Store.Find("a-bucket", "files/insert_log/1/2/3/100/8")!.Bytes, read.Body);
        Assert.Equal(_backend.Store.Find("a-bucket", "files/insert_log/1/2/3/100/8")!.ETag, read.Header("ETag"));
    }

    /// <summary>Segments "." and ".." and empty ones are refused ("Intentional Deviations From AWS S3"): the client hears it, from a forward and from a read of the proxy's own.</summary>
    [Theory]
    [InlineData("/a-bucket/a//b")]
    [InlineData("/a-bucket/files/insert_log/1//3/100/8")]
    public async Task RustFS_KeyItRefuses_ClientIsToldWhy(string target)
    {
        foreach (var operation in (string[])["PutObject", "GetObject"])
        {
            _backend.Break(operation, new Fault { Status = 400, Code = "InvalidArgument" });
        }

        Assert.Equal("InvalidArgument", (await _s3.PutAsync(target, [1])).Is(HttpStatusCode.BadRequest).Code);
        Assert.Equal("InvalidArgument", (await _s3.GetAsync(target)).Is(HttpStatusCode.BadRequest).Code);
    }

    /// <summary>rustfs#1771: quotes in its XML are entities. The copy's answer is the client's to read; that of a completed upload we read too.</summary>
    [Fact]
    public async Task RustFS_ETagInEntities_PassesUntouchedAndIsRead()
    {
        var copied = $"<CopyObjectResult><ETag>&quot;{new string('a', 32)}&quot;</ETag></CopyObjectResult>";
        _backend.Break("CopyObject", new Fault { Document = copied }, times: 1);
        Assert.Equal(copied, (await _s3.SendAsync("PUT", "/a-bucket/copy", [], ("x-amz-copy-source", "/a-bucket/k"))).Ok().Text);

        const string Key = "files/insert_log/1/2/3/100/11";
        var (target, document) = await UploadAsync(Key);
        _backend.Break("CompleteMultipartUpload", new Fault { QuotesAsEntities = true }, times: 1);
        Assert.Contains("&quot;", (await _s3.SendAsync("POST", target, document)).Ok().Text, StringComparison.Ordinal);
        var read = (await _s3.GetAsync($"/a-bucket/{Key}")).Ok();
        Assert.Equal(_backend.Store.Find("a-bucket", Key)!.ETag, read.Header("ETag"));
        Assert.Equal(SeveralBackendsTests.MakeBytes(50_000), read.Body);
        Assert.Equal(0, _backend.Count("GetObject")); // what was uploaded is what is served: its ETag was understood
    }

    /// <summary>rustfs#610, its releases of 2025: a GET without an ETag. Its bytes belong to no version: refused, not served and not kept.</summary>
    [Fact]
    public async Task RustFS_GetWithoutETag_IsRefusedAndNotKept()
    {
        const string Target = "/a-bucket/files/insert_log/1/2/3/100/9";
        _backend.Store.TryPut("a-bucket", Target["/a-bucket/".Length..], FaultyObject.Of([1, 2, 3]));
        _backend.Break("GetObject", new Fault { ETag = "" });
        Assert.Equal("InternalError", (await _s3.GetAsync(Target)).Is(HttpStatusCode.InternalServerError).Code);
        _backend.Heal();
        var healed = (await _s3.GetAsync(Target)).Ok();
        Assert.Equal("MISS", healed.Header("X-Cache"));
        Assert.Equal([1, 2, 3], healed.Body);
    }

    /// <summary>rustfs#791: If-None-Match was compared without its quotes and answered 200. The proxy compares itself and asks no such thing.</summary>
    [Theory]
    [InlineData("/a-bucket/files/insert_log/1/2/3/100/10")]
    [InlineData("/a-bucket/plain")]
    public async Task RustFS_ConditionItDoesNotUnderstand_IsTheProxysOwnToJudge(string target)
    {
        var stored = FaultyObject.Of([1, 2, 3]);
        _backend.Store.TryPut("a-bucket", target["/a-bucket/".Length..], stored);
        (await _s3.GetAsync(target, ("If-None-Match", stored.ETag))).Is(HttpStatusCode.NotModified);
        (await _s3.GetAsync(target, ("If-None-Match", stored.ETag))).Is(HttpStatusCode.NotModified);
        Assert.Equal([1, 2, 3], (await _s3.GetAsync(target, ("If-None-Match", "\"other\""))).Ok().Body);
        Assert.All(_backend.Requests, request => Assert.Null(request.Header("If-None-Match")));
    }

    /// <summary>rustfs#6621: 503 under many listings. They wait and come.</summary>
    [Fact]
    public async Task RustFS_SlowDownOnListings_IsWaitedOut()
    {
        _backend.Break("ListObjectsV2", new Fault { Status = 503 }, times: 4);
        (await _s3.GetAsync("/a-bucket?list-type=2")).Ok();
        Assert.Equal(5, _backend.Count("ListObjectsV2"));
    }

    /// <summary>rustfs#1728: the bucket's name behind the keys. Untouched where it is the same on both sides.</summary>
    [Fact]
    public async Task RustFS_NameBehindTheContents_PassesUntouched()
    {
        const string Document = "<ListBucketResult><Contents><Key>k</Key></Contents><IsTruncated>false</IsTruncated><Name>a-bucket</Name></ListBucketResult>";
        _backend.Break("ListObjects", new Fault { Document = Document }, times: 1);
        Assert.Equal(Document, (await _s3.GetAsync("/a-bucket")).Ok().Text);
    }

    private async Task<(string Target, byte[] Document)> UploadAsync(string key)
    {
        var target = $"/a-bucket/{key}";
        var id = (await _s3.SendAsync("POST", $"{target}?uploads=", [])).Ok().Only("UploadId");
        var part = (await _s3.PutAsync($"{target}?partNumber=1&uploadId={id}", SeveralBackendsTests.MakeBytes(50_000))).Ok();
        return ($"{target}?uploadId={id}", Encoding.UTF8.GetBytes($"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{part.Header("ETag")}</ETag></Part></CompleteMultipartUpload>"));
    }

    /// <summary>One proxy for all of them: each has keys of its own.</summary>
    public sealed class Servers : IAsyncLifetime
    {
        private ProxyProcess _proxy = null!;

        internal FaultyBackend Backend { get; private set; } = null!;

        internal S3Caller S3 { get; private set; } = null!;

        public async ValueTask InitializeAsync()
        {
            Backend = await FaultyBackend.StartAsync(0, "a-bucket");
            _proxy = await ProxyProcess.StartAsync(["--nvme", "0"], new Uri(Backend.Url));
            S3 = new S3Caller(_proxy.Endpoint);
        }

        public async ValueTask DisposeAsync()
        {
            S3.Dispose();
            await _proxy.DisposeAsync();
            await Backend.DisposeAsync();
        }
    }
}
