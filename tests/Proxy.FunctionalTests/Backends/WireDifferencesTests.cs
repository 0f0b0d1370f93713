using System.Net;
using System.Text;
using Proxy.FunctionalTests.Faults;
using Proxy.FunctionalTests.Hosting;

namespace Proxy.FunctionalTests.Backends;

/// <summary>What MinIO and Ceph say differently from S3, and that clients hear it, or are spared it, through the proxy.</summary>
/// <remarks>
/// MinIO as seen on its release of 18 December 2024 and in minio/minio#20845. Ceph as seen on radosgw 16.2.15.
/// The faulty backend speaks like them.
/// </remarks>
public sealed class WireDifferencesTests : IAsyncLifetime
{
    private FaultyBackend _backend = null!;
    private ProxyProcess _proxy = null!;
    private S3Caller _s3 = null!;

    public async ValueTask InitializeAsync()
    {
        _backend = await FaultyBackend.StartAsync(0, "a-bucket");
        _proxy = await ProxyProcess.StartAsync(backend: new Uri(_backend.Url));
        _s3 = new S3Caller(_proxy.Endpoint);
    }

    public async ValueTask DisposeAsync()
    {
        _s3.Dispose();
        await _proxy.DisposeAsync();
        await _backend.DisposeAsync();
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
        var (target, document) = await UploadAsync();
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
        var (target, document) = await UploadAsync();
        _backend.Break("CompleteMultipartUpload", new Fault { ETag = "" }, times: 1);
        (await _s3.SendAsync("POST", target, document)).Ok();
        var read = (await _s3.GetAsync("/a-bucket/files/insert_log/1/2/3/100/8")).Ok();
        Assert.Equal(_backend.Store.Find("a-bucket", "files/insert_log/1/2/3/100/8")!.Bytes, read.Body);
        Assert.Equal(_backend.Store.Find("a-bucket", "files/insert_log/1/2/3/100/8")!.ETag, read.Header("ETag"));
    }

    private async Task<(string Target, byte[] Document)> UploadAsync()
    {
        const string Key = "/a-bucket/files/insert_log/1/2/3/100/8";
        var id = (await _s3.SendAsync("POST", $"{Key}?uploads=", [])).Ok().Only("UploadId");
        var part = (await _s3.PutAsync($"{Key}?partNumber=1&uploadId={id}", SeveralBackendsTests.MakeBytes(50_000))).Ok();
        return ($"{Key}?uploadId={id}", Encoding.UTF8.GetBytes($"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{part.Header("ETag")}</ETag></Part></CompleteMultipartUpload>"));
    }
}
