using System.Net;
using Proxy.FunctionalTests.Backends;
using Proxy.FunctionalTests.Faults;
using Proxy.FunctionalTests.Hosting;
using Proxy.FunctionalTests.Operations.Wire;

namespace Proxy.FunctionalTests.Cache;

/// <summary>Requests that the proxy only carries over and that change keys, named by them or not: the next read is of what the backend has then.</summary>
/// <remarks>The keys are of class immutable, so nothing but the change itself makes the cache ask again. The backend does what MinIO or S3 would.</remarks>
public sealed class ForwardedChangesTests : IAsyncLifetime
{
    private const string Bucket = "changes";
    private const string Named = "files/index_files/1/1/1/1/named";
    private const string Other = "files/index_files/2/2/2/2/other";
    private static readonly byte[] Old = "old"u8.ToArray();
    private static readonly byte[] New = "new and longer"u8.ToArray();
    private FaultyBackend _backend = null!;
    private ProxyProcess _proxy = null!;
    private S3Caller _s3 = null!;

    public async ValueTask InitializeAsync()
    {
        _backend = await FaultyBackend.StartAsync(0, Bucket);
        _proxy = await ProxyProcess.StartAsync(["--nvme", "0"], new Uri(_backend.Url));
        _s3 = new S3Caller(_proxy.Endpoint);
        foreach (var key in new[] { Named, Other })
        {
            _backend.Store.TryPut(Bucket, key, FaultyObject.Of(Old));
            Assert.Equal(Old, (await _s3.GetAsync($"/{Bucket}/{key}")).Ok().Body);
            Assert.Equal("HIT-MEMORY", (await _s3.GetAsync($"/{Bucket}/{key}")).Ok().Header("X-Cache"));
        }
    }

    public async ValueTask DisposeAsync()
    {
        _s3.Dispose();
        await _proxy.DisposeAsync();
        await _backend.DisposeAsync();
    }

    [Fact]
    public async Task ForceDelete_OfABucket_EveryKeyOfItIsGone()
    {
        _backend.Break("*", new Fault { Document = "<Done/>" }, times: 1);
        await ChangeAsync("DELETE", $"/{Bucket}", null, () => Delete(Named, Other), ("x-minio-force-delete", "true"));
        await GoneAsync(Named, Other);
    }

    [Fact]
    public async Task ForceDelete_OfAPrefix_TheKeysUnderItAreGone()
    {
        await ChangeAsync("DELETE", $"/{Bucket}/files/index_files/2/", null, () => Delete(Other), ("x-minio-force-delete", "true"));
        await GoneAsync(Other);
        Assert.Equal(Old, (await _s3.GetAsync($"/{Bucket}/{Named}")).Ok().Body);
    }

    [Fact]
    public async Task Rename_TheSourceIsGoneAndTheTargetIsNew()
    {
        _backend.Break("*", new Fault { Document = "<Done/>" }, times: 1);
        await ChangeAsync("PUT", $"/{Bucket}/{Named}?renameObject", [], () =>
        {
            Put(Named, New);
            Delete(Other);
        }, ("x-amz-rename-source", $"/{Bucket}/{Other}"));
        await GoneAsync(Other);
        await IsAsync(Named, New);
    }

    [Theory]
    [InlineData("x-amz-meta-snowball-auto-extract")]
    [InlineData("x-amz-snowball-extract")]
    public async Task SnowballAutoExtract_TheKeysItUnpackedAreNew(string header)
    {
        await ChangeAsync("PUT", $"/{Bucket}/archive.tar", New, () => Put(Other, New), (header, "true"));
        await IsAsync(Other, New);
    }

    /// <summary>The header may come in a presigned URL's query, where an SDK put it.</summary>
    [Fact]
    public async Task SnowballAutoExtract_Presigned_TheKeysItUnpackedAreNew()
    {
        const string Header = "x-amz-meta-snowball-auto-extract";
        var target = $"/{Bucket}/archive.tar?{Header}=true";
        _backend.Arrived = request => WhenIs(request, "PUT", () => Put(Other, New));
        await using var wire = new S3Wire(_proxy.Endpoint, Bucket);
        (await wire.SendAsync(new WireRequest("PUT", target) { Signing = Signing.Presigned, Body = New })).Expect(200);
        Assert.Equal("true", _backend.Requests.Last(request => request.Method == "PUT").Header(Header));
        await IsAsync(Other, New);
    }

    /// <summary>Refused half-way, and broken off half-way: what was unpacked until then is there.</summary>
    [Theory]
    [InlineData(400)]
    [InlineData(500)]
    [InlineData(0)]
    public async Task SnowballAutoExtract_ThatFails_TheKeysItUnpackedAreNew(int status)
    {
        _backend.Break("PutObject", status == 0 ? new Fault { ResetAfterDoing = true } : new Fault { Status = status }, times: 1);
        _backend.Arrived = request => WhenIs(request, "PUT", () => Put(Other, New));
        Assert.NotEqual(HttpStatusCode.OK, (await _s3.PutAsync($"/{Bucket}/archive.tar", New, ("x-amz-meta-snowball-auto-extract", "true"))).Status);
        await IsAsync(Other, New);
    }

    [Fact]
    public async Task Append_TheObjectIsLonger()
    {
        await ChangeAsync("PUT", $"/{Bucket}/{Named}", New, () => Put(Named, [.. Old, .. New]), ("x-amz-write-offset-bytes", "3"));

        // The stand-in stores the body besides: what counts is that the proxy asked.
        Assert.NotEqual(Old, (await _s3.GetAsync($"/{Bucket}/{Named}")).Ok().Body);
    }

    /// <summary>SeaweedFS answers so where a folder's marker is written: it is stored, so the client must hear that.</summary>
    [Fact]
    public async Task PutAnsweredWithoutAnETag_Succeeds()
    {
        _backend.Break("PutObject", new Fault { Document = "<Done/>" }, times: 1);
        await ChangeAsync("PUT", $"/{Bucket}/{Named}", New, () => Put(Named, New));
        await IsAsync(Named, New);
    }

    /// <summary>Its bytes are for who has the key, which the proxy does not check: it keeps none of them. The stand-in's HEAD asks for no key either.</summary>
    [Fact]
    public async Task PutUnderAKeyOfTheClients_IsNotKept()
    {
        (string, string)[] ssec = [("x-amz-server-side-encryption-customer-algorithm", "AES256"), ("x-amz-server-side-encryption-customer-key", "AAAA"), ("x-amz-server-side-encryption-customer-key-MD5", "AAAA")];
        (await _s3.PutAsync($"/{Bucket}/{Named}", New, ssec)).Ok();
        var id = (await _s3.SendAsync("POST", $"/{Bucket}/{Other}?uploads=", [], ssec)).Ok().Only("UploadId");
        var etag = (await _s3.PutAsync($"/{Bucket}/{Other}?partNumber=1&uploadId={id}", New, ssec)).Ok().Header("ETag");
        var document = $"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{etag}</ETag></Part></CompleteMultipartUpload>";
        (await _s3.SendAsync("POST", $"/{Bucket}/{Other}?uploadId={id}", System.Text.Encoding.UTF8.GetBytes(document))).Ok();

        // The backend refuses to give them away, and so is the client told.
        _backend.Break("GetObject", new Fault { Status = 400 });
        foreach (var key in new[] { Named, Other })
        {
            (await _s3.GetAsync($"/{Bucket}/{key}")).Is(HttpStatusCode.BadRequest);
        }
    }

    /// <summary>Ceph takes parts in any order. What is refused here must not have been done there.</summary>
    [Fact]
    public async Task Complete_ThatWeRefuse_WasNotCarriedOut()
    {
        var id = (await _s3.SendAsync("POST", $"/{Bucket}/{Named}?uploads=", [])).Ok().Only("UploadId");
        var etags = new string?[2];
        for (var part = 1; part <= 2; part++)
        {
            etags[part - 1] = (await _s3.PutAsync($"/{Bucket}/{Named}?partNumber={part}&uploadId={id}", New)).Ok().Header("ETag");
        }

        var document = $"<CompleteMultipartUpload><Part><PartNumber>2</PartNumber><ETag>{etags[1]}</ETag></Part><Part><PartNumber>1</PartNumber><ETag>{etags[0]}</ETag></Part></CompleteMultipartUpload>";
        Assert.Equal("InvalidPartOrder", (await _s3.SendAsync("POST", $"/{Bucket}/{Named}?uploadId={id}", System.Text.Encoding.UTF8.GetBytes(document))).Is(HttpStatusCode.BadRequest).Code);
        Assert.Equal(Old, _backend.Store.Find(Bucket, Named)!.Bytes);
        await IsAsync(Named, Old);
    }

    /// <summary>A form that a header signs names its key inside.</summary>
    [Fact]
    public async Task FormSignedByAHeader_TheKeyItWroteIsNew()
    {
        _backend.Break("*", new Fault { Document = "<Done/>" }, times: 1);
        await ChangeAsync("POST", $"/{Bucket}", "--b\r\n\r\n--b--\r\n"u8.ToArray(), () => Put(Other, New), ("Content-Type", "multipart/form-data; boundary=b"));
        await IsAsync(Other, New);
    }

    [Theory]
    [InlineData("PUT", "?acl")]
    [InlineData("PUT", "?retention")]
    [InlineData("POST", "?restore")]
    [InlineData("DELETE", "?versionId=abc")]
    [InlineData("PUT", "?no-such-thing")]
    [InlineData("PUT", "?tagging")]
    [InlineData("DELETE", "?tagging")]
    public async Task SubResourceOfTheKey_TheKeyIsAskedForAgain(string method, string query)
    {
        _backend.Break("*", new Fault { Document = "<Done/>" }, times: 1);
        await ChangeAsync(method, $"/{Bucket}/{Named}{query}", method == "DELETE" ? null : "<Any/>"u8.ToArray(), () => Put(Named, New));
        await IsAsync(Named, New);
    }

    [Theory]
    [InlineData("PUT", "?versioning")]
    [InlineData("PUT", "?lifecycle")]
    [InlineData("DELETE", "?replication")]
    [InlineData("POST", "?invented")]
    public async Task SubResourceOfTheBucket_ItsKeysAreAskedForAgain(string method, string query)
    {
        _backend.Break("*", new Fault { Document = "<Done/>" }, times: 1);
        await ChangeAsync(method, $"/{Bucket}{query}", method == "DELETE" ? null : "<Any/>"u8.ToArray(), () => Put(Other, New));
        await IsAsync(Other, New);
    }

    /// <summary>The control: a request that changes nothing leaves the cache alone, so the tests above do see a change.</summary>
    [Theory]
    [InlineData("GET", "?acl")]
    [InlineData("POST", "?select&select-type=2")]
    public async Task MereReads_LeaveTheCacheAlone(string method, string query)
    {
        _backend.Break("*", new Fault { Document = "<Done/>" }, times: 1);
        await ChangeAsync(method, $"/{Bucket}/{Named}{query}", method == "POST" ? "<Any/>"u8.ToArray() : null, () => Put(Named, New));
        await IsAsync(Named, Old);
    }

    /// <summary>Nothing is put in the key's place before it is completed.</summary>
    [Fact]
    public async Task CreateMultipartUpload_LeavesTheKeyAlone_HoweverItIsAnswered()
    {
        var target = $"/{Bucket}/{Named}";
        _backend.Break("CreateMultipartUpload", new Fault { Status = 503 }, times: 1);
        (await _s3.SendAsync("POST", target + "?uploads=", [])).Is(HttpStatusCode.ServiceUnavailable);
        Assert.Equal("HIT-MEMORY", (await _s3.GetAsync(target)).Ok().Header("X-Cache"));

        var id = (await _s3.SendAsync("POST", target + "?uploads=", [])).Ok().Only("UploadId");
        Assert.Equal("HIT-MEMORY", (await _s3.GetAsync(target)).Ok().Header("X-Cache"));
        var etag = (await _s3.PutAsync($"{target}?partNumber=1&uploadId={id}", New)).Ok().Header("ETag");
        var document = $"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{etag}</ETag></Part></CompleteMultipartUpload>";
        (await _s3.SendAsync("POST", $"{target}?uploadId={id}", System.Text.Encoding.UTF8.GetBytes(document))).Ok();
        await IsAsync(Named, New);
        Assert.Equal("HIT-MEMORY", (await _s3.GetAsync(target)).Ok().Header("X-Cache"));
    }

    [Fact]
    public async Task UnnamedKeys_OnlyForWhoMayWriteTheWholeBucket()
    {
        await using var proxy = await ProxyProcess.StartAsync(
            [
                "--nvme", "0",
                "--set", "S3:Credentials:0:AccessKey=tenant", "--set", "S3:Credentials:0:SecretKey=tenantsecret", "--set", $"S3:Credentials:0:Buckets:0={Bucket}/mine/",
                "--set", "S3:Credentials:1:AccessKey=owner", "--set", "S3:Credentials:1:SecretKey=ownersecret", "--set", $"S3:Credentials:1:Buckets:0={Bucket}",
            ],
            new Uri(_backend.Url));
        using var tenant = new S3Caller(proxy.Endpoint, "tenant", "tenantsecret");
        using var owner = new S3Caller(proxy.Endpoint, "owner", "ownersecret");
        (await tenant.PutAsync($"/{Bucket}/mine/a", New)).Ok();
        foreach (var (name, value) in new[] { ("x-amz-meta-snowball-auto-extract", "true"), ("x-amz-rename-source", $"/{Bucket}/{Other}") })
        {
            (await tenant.PutAsync($"/{Bucket}/mine/b", New, (name, value))).Is(HttpStatusCode.Forbidden);
            Assert.Null(_backend.Store.Find(Bucket, "mine/b"));
            (await owner.PutAsync($"/{Bucket}/mine/c", New, (name, value))).Ok();
        }
    }

    private async Task ChangeAsync(string method, string target, byte[]? body, Action change, params (string Name, string Value)[] headers)
    {
        _backend.Arrived = request => WhenIs(request, method, change);
        var answer = await _s3.SendAsync(method, target, body, headers);
        Assert.True((int)answer.Status is >= 200 and < 300, $"{method} {target}: {answer.Status} {answer.Text}");
        _backend.Arrived = null;
    }

    private static Task WhenIs(FaultyRequest request, string method, Action change)
    {
        if (request.Method == method)
        {
            change();
        }

        return Task.CompletedTask;
    }

    private void Put(string key, byte[] bytes) => _backend.Store.TryPut(Bucket, key, FaultyObject.Of(bytes));

    private void Delete(params string[] keys) => Array.ForEach(keys, key => _backend.Store.Delete(Bucket, key));

    private async Task GoneAsync(params string[] keys)
    {
        foreach (var key in keys)
        {
            (await _s3.GetAsync($"/{Bucket}/{key}")).Is(HttpStatusCode.NotFound);
        }
    }

    private async Task IsAsync(string key, byte[] expected)
    {
        Assert.Equal(expected, (await _s3.GetAsync($"/{Bucket}/{key}")).Ok().Body);
        Assert.Equal(expected, (await _s3.GetAsync($"/{Bucket}/{key}")).Ok().Body);
    }
}
