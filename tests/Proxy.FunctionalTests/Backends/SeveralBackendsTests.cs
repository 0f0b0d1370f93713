using System.Net;
using System.Security.Cryptography;
using System.Text;
using Proxy.FunctionalTests.Faults;
using Proxy.FunctionalTests.Operations.Wire;
using Proxy.S3.Auth;
using Proxy.S3.Checksums;

namespace Proxy.FunctionalTests.Backends;

/// <summary>Buckets and prefixes in different backends, under other names there, behind one front.</summary>
public sealed class SeveralBackendsTests : IAsyncLifetime
{
    private static readonly byte[] Bytes = MakeBytes(700_000);

    private SeveralBackends _several = null!;

    private S3Caller S3 => _several.S3;

    public async ValueTask InitializeAsync()
    {
        _several = await SeveralBackends.StartAsync(several => new
        {
            Backends = new Dictionary<string, object> { ["one"] = SeveralBackends.Remote(several.First), ["two"] = SeveralBackends.Remote(several.Second, new() { ["mapped"] = "mapped-there" }) },
            Routes = new object[]
            {
                new { Bucket = "prod", Backend = "one", BackendBucket = "prod-in-aws" },
                new { Bucket = "mapped", Backend = "two" },
                new { Bucket = "plain-shown", Backend = "one", BackendBucket = "plain-hidden" },
                new { Bucket = "plain-*", Backend = "one" },
                new { Bucket = "split", Prefix = "far/", Backend = "two" },
                new { Bucket = "here", Backend = "local", BackendBucket = "here-on-disk" },
                new { Bucket = "parted", Prefix = "moved/", Backend = "one", BackendBucket = "parted-moved" },
                new { Bucket = "parted", Backend = "one" },
                new { Bucket = "minio", Backend = "one" },
            },
        });
        _several.First.Store.CreateBucket("prod-in-aws");
        _several.First.Store.CreateBucket("plain-1");
        _several.First.Store.CreateBucket("not-routed");
        _several.Second.Store.CreateBucket("mapped-there");
        _several.Second.Store.CreateBucket("split");
        await S3.PutAsync("/split", []);
        (await S3.PutAsync("/here", [])).Ok();
    }

    public ValueTask DisposeAsync() => _several.DisposeAsync();

    [Fact]
    public async Task ListBuckets_NamesWhatClientsCallThem()
    {
        var names = (await S3.GetAsync("/")).Ok().All("Name");
        Assert.Equal(["here", "mapped", "plain-1", "prod", "split"], names);
    }

    [Fact]
    public async Task ListBuckets_OneBackendDown_IsAnError()
    {
        await _several.Second.DisposeAsync();
        var answer = (await S3.GetAsync("/")).Is(HttpStatusCode.ServiceUnavailable);
        Assert.Equal("SlowDown", answer.Code);
    }

    [Fact]
    public async Task ListBuckets_OfABackendThatNoNameLeadsTo_IsNotAsked()
    {
        await using var several = await SeveralBackends.StartAsync(several => new
        {
            Backends = new Dictionary<string, object> { ["used"] = SeveralBackends.Remote(several.First), ["unused"] = SeveralBackends.Remote(several.Second) },
            Routes = new object[] { new { Bucket = "far", Backend = "used" }, new { Bucket = "near", Prefix = "x/", Backend = "unused" } },
        });
        several.First.Store.CreateBucket("far");
        (await several.S3.PutAsync("/near", [])).Ok();
        await several.Second.DisposeAsync();
        Assert.Equal(["far", "near"], (await several.S3.GetAsync("/")).Ok().All("Name"));
        await several.First.DisposeAsync();
        Assert.Equal("SlowDown", (await several.S3.GetAsync("/")).Code);
    }

    [Theory]
    [InlineData("prod", "prod-in-aws")]
    [InlineData("mapped", "mapped-there")]
    public async Task RenamedBucket_IsTheClientsNameInEveryAnswer(string client, string there)
    {
        var store = client == "prod" ? _several.First.Store : _several.Second.Store;
        (await S3.PutAsync($"/{client}/k", Bytes, ("Content-Type", "a/b"))).Ok();
        Assert.Equal(Bytes, store.Find(there, "k")!.Bytes);
        Assert.Equal(Bytes, (await S3.GetAsync($"/{client}/k")).Ok().Body);

        var list = (await S3.GetAsync($"/{client}?list-type=2")).Ok();
        Assert.Equal(client, list.Only("Name"));
        Assert.DoesNotContain(there, list.Text, StringComparison.Ordinal);

        (await S3.PutAsync($"/{client}/copy", [], ("x-amz-copy-source", $"/{client}/k"))).Ok();
        Assert.Equal(Bytes, store.Find(there, "copy")!.Bytes);
        var missing = await S3.GetAsync($"/{client}/none?partNumber=1");
        Assert.DoesNotContain(there, missing.Text, StringComparison.Ordinal);

        var upload = (await S3.SendAsync("POST", $"/{client}/big?uploads=", [])).Ok();
        var part = (await S3.PutAsync($"/{client}/big?partNumber=1&uploadId={upload.Only("UploadId")}", Bytes)).Ok();
        var document = $"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{part.Header("ETag")}</ETag></Part></CompleteMultipartUpload>";
        (await S3.SendAsync("POST", $"/{client}/big?uploadId={upload.Only("UploadId")}", Encoding.UTF8.GetBytes(document))).Ok();
        Assert.Equal(Bytes, (await S3.GetAsync($"/{client}/big")).Ok().Body);
    }

    /// <summary>Each of these is forwarded: what was stored as XML is the client's own bytes, whatever they name.</summary>
    [Theory]
    [InlineData("/files/wp/1/x.xml")]
    [InlineData("/x.xml?partNumber=1")]
    [InlineData("/x.xml?versionId=null")]
    [InlineData("/x.xml?anything=1")]
    [InlineData("/x.xml?attributes")]
    [InlineData("/x.xml?tagging")]
    [InlineData("/x.xml", "x-amz-request-payer", "requester")]
    [InlineData("/x.xml", "x-amz-server-side-encryption-customer-algorithm", "AES256")]
    [InlineData("/x.xml", "x-amz-expected-bucket-owner", "1")]
    [InlineData("/x.xml", "x-minio-extract", "true")]
    public async Task RenamedBucket_ObjectsAreNeverLookedInto(string target, string? header = null, string value = "")
    {
        foreach (var (client, there, store) in ((string, string, FaultyStore)[])[("prod", "prod-in-aws", _several.First.Store), ("mapped", "mapped-there", _several.Second.Store)])
        {
            var bytes = Encoding.UTF8.GetBytes($"<?xml version='1.0'?><ListBucketResult><Name>{there}</Name><Bucket>{there}</Bucket><Resource>/{there}/k</Resource></ListBucketResult>");
            store.TryPut(there, target[1..].Split('?')[0], FaultyObject.Of(bytes, new KeyValuePair<string, string>("Content-Type", "application/xml")));
            var answer = (await S3.GetAsync($"/{client}{target}", header is null ? [] : [(header, value)])).Ok();
            Assert.Equal(Encoding.UTF8.GetString(bytes), answer.Text);
            Assert.Equal(bytes.Length.ToString(), answer.Header("Content-Length"));

            // Control: the same document as the answer of a listing with a parameter that nobody knows, and an error about a key.
            var backend = client == "prod" ? _several.First : _several.Second;
            backend.Break("ListObjectsV2", new Fault { Document = Encoding.UTF8.GetString(bytes) }, times: 1);
            Assert.Equal(client, (await S3.GetAsync($"/{client}?list-type=2&anything=1")).Ok().Only("Name"));
            backend.Break("GetObject", new Fault { Status = 404, Document = $"<Error><Code>NoSuchKey</Code><Resource>/{there}/none</Resource></Error>" }, times: 1);
            Assert.DoesNotContain(there, (await S3.GetAsync($"/{client}/none?versionId=null")).Is(HttpStatusCode.NotFound).Text, StringComparison.Ordinal);
        }
    }

    /// <summary>In a configuration, Name is what a filter is called.</summary>
    [Fact]
    public async Task RenamedBucket_ConfigurationsAreNotLookedInto()
    {
        const string Document = "<NotificationConfiguration><FilterRule><Name>prod-in-aws</Name></FilterRule></NotificationConfiguration>";
        _several.First.Break("ListObjects", new Fault { Document = Document }, times: 1);
        Assert.Equal(Document, (await S3.GetAsync("/prod?notification")).Ok().Text);
    }

    [Fact]
    public async Task RenamedBucket_IsNotThereUnderItsOwnName()
    {
        (await S3.PutAsync("/mapped/k", Bytes)).Ok();

        // "mapped-there" is routed to the local store, which has no such bucket; "here-on-disk" would be the local store's own.
        Assert.Equal("NoSuchBucket", (await S3.GetAsync("/mapped-there/k")).Code);
        Assert.Equal("NoSuchBucket", (await S3.GetAsync("/here-on-disk?list-type=2")).Code);
        Assert.Equal("NoSuchBucket", (await S3.PutAsync("/here-on-disk/k", Bytes)).Code);
    }

    [Theory]
    [InlineData("here", "here-on-disk", "here")]         // by the local store itself
    [InlineData("here", "here-on-disk", "prod")]         // across
    [InlineData("plain-shown", "plain-hidden", "prod")]  // by the backend itself
    [InlineData("plain-shown", "plain-hidden", "here")]
    public async Task RenamedBucket_IsNoSourceOfACopyUnderItsOwnName(string client, string there, string to)
    {
        _several.First.Store.CreateBucket("plain-hidden");
        (await S3.PutAsync($"/{client}/k", Bytes)).Ok();
        var upload = (await S3.SendAsync("POST", $"/{to}/parts?uploads", [])).Ok().Only("UploadId");
        foreach (var target in (string[])[$"/{to}/copied", $"/{to}/parts?partNumber=1&uploadId={upload}"])
        {
            Assert.Equal("NoSuchBucket", (await S3.PutAsync(target, [], ("x-amz-copy-source", $"/{there}/k"))).Code);
            (await S3.PutAsync(target, [], ("x-amz-copy-source", $"/{client}/k"))).Ok();
        }
    }

    [Fact]
    public async Task RenamedLocalBucket_ReadsWritesListsAndCopies()
    {
        (await S3.PutAsync("/here/a", Bytes, ("x-amz-tagging", "t=1"))).Ok();
        (await S3.PutAsync("/here/b", [], ("x-amz-copy-source", "here/a"))).Ok();
        Assert.Equal(Bytes, (await S3.GetAsync("/here/b")).Ok().Body);
        var list = (await S3.GetAsync("/here?list-type=2")).Ok();
        Assert.Equal("here", list.Only("Name"));
        Assert.Equal(["a", "b"], list.All("Key"));
    }

    [Theory]
    [InlineData("here", "prod")]
    [InlineData("prod", "here")]
    [InlineData("prod", "mapped")]
    [InlineData("here", "split")]
    public async Task Copy_AcrossBackends_CarriesBytesAndMetadata(string from, string to)
    {
        (await S3.PutAsync($"/{from}/source%20key", Bytes, ("Content-Type", "application/x-test"), ("x-amz-meta-a", "1"))).Ok();
        var answer = (await S3.PutAsync($"/{to}/far/copied", [], ("x-amz-copy-source", $"/{from}/source%20key"))).Ok();
        var copied = (await S3.GetAsync($"/{to}/far/copied")).Ok();

        Assert.Equal(Bytes, copied.Body);
        Assert.Equal(copied.Header("ETag"), answer.Only("ETag"));
        Assert.Equal("application/x-test", copied.Header("Content-Type"));
        Assert.Equal("1", copied.Header("x-amz-meta-a"));

        (await S3.PutAsync($"/{to}/far/replaced", [], ("x-amz-copy-source", $"/{from}/source%20key"), ("x-amz-metadata-directive", "REPLACE"), ("x-amz-meta-b", "2"))).Ok();
        var replaced = (await S3.SendAsync("HEAD", $"/{to}/far/replaced", null)).Ok();
        Assert.Null(replaced.Header("x-amz-meta-a"));
        Assert.Equal("2", replaced.Header("x-amz-meta-b"));
    }

    [Fact]
    public async Task Copy_AcrossBackends_KeepsItsConditions()
    {
        (await S3.PutAsync("/here/k", Bytes)).Ok();
        Assert.Equal("NoSuchKey", (await S3.PutAsync("/prod/k", [], ("x-amz-copy-source", "/here/none"))).Code);
        Assert.Equal("PreconditionFailed", (await S3.PutAsync("/prod/k", [], ("x-amz-copy-source", "/here/k"), ("x-amz-copy-source-if-match", "\"other\""))).Code);
        Assert.Null(_several.First.Store.Find("prod-in-aws", "k"));
        (await S3.PutAsync("/prod/k", [], ("x-amz-copy-source", "/here/k"), ("If-None-Match", "*"))).Ok();
        Assert.Equal("PreconditionFailed", (await S3.PutAsync("/prod/k", [], ("x-amz-copy-source", "/here/k"), ("If-None-Match", "*"))).Code);
        Assert.Single(_several.First.Store.Versions("prod-in-aws", "k"));
    }

    /// <summary>A backend that refuses before it has read the body closes the connection on it: asked first, it is heard.</summary>
    [Fact]
    public async Task Copy_AcrossBackends_LargeAndRefusedBeforeItsBody_TellsTheClient412()
    {
        (await S3.PutAsync("/here/large", MakeBytes(8 << 20))).Ok();
        _several.First.Break("PutObject", new Fault { Status = 412, BeforeBody = true });
        for (var i = 0; i < 5; i++)
        {
            Assert.Equal("PreconditionFailed", (await S3.PutAsync("/prod/k", [], ("x-amz-copy-source", "/here/large"), ("If-None-Match", "*"))).Is(HttpStatusCode.PreconditionFailed).Code);
        }

        Assert.All(_several.First.Requests.Where(arrived => arrived.Operation == "PutObject"), arrived => Assert.Equal("100-continue", arrived.Header("Expect")));

        // Control: taken, the body follows; without a condition, or when it is small, nobody is asked first.
        _several.First.Heal();
        (await S3.PutAsync("/prod/k", [], ("x-amz-copy-source", "/here/large"), ("If-None-Match", "*"))).Ok();
        Assert.Equal(MakeBytes(8 << 20), _several.First.Store.Find("prod-in-aws", "k")!.Bytes);
        (await S3.PutAsync("/prod/k", [], ("x-amz-copy-source", "/here/large"))).Ok();
        Assert.Null(_several.First.Requests.Last(arrived => arrived.Operation == "PutObject").Header("Expect"));
        (await S3.PutAsync("/here/small", [1])).Ok();
        (await S3.PutAsync("/prod/small", [], ("x-amz-copy-source", "/here/small"), ("If-None-Match", "*"))).Ok();
        Assert.Null(_several.First.Requests.Last(arrived => arrived.Operation == "PutObject").Header("Expect"));
    }

    [Fact]
    public async Task Copy_SourceBreaksOff_StoresNothing()
    {
        (await S3.PutAsync("/mapped/k", Bytes)).Ok();
        _several.Second.Break("GetObject", new Fault { ResetAfterBytes = 100_000 });
        var answer = await S3.PutAsync("/prod/k", [], ("x-amz-copy-source", "/mapped/k"));
        Assert.Equal(HttpStatusCode.ServiceUnavailable, answer.Status);
        Assert.Null(_several.First.Store.Find("prod-in-aws", "k"));
    }

    [Theory]
    [InlineData("here", "prod")]
    [InlineData("prod", "here")]
    public async Task PartCopy_AcrossBackends_TakesItsRange(string from, string to)
    {
        var large = MakeBytes(6 << 20);
        (await S3.PutAsync($"/{from}/k", large)).Ok();
        var id = (await S3.SendAsync("POST", $"/{to}/k2?uploads=", [])).Ok().Only("UploadId");
        var first = (await S3.PutAsync($"/{to}/k2?partNumber=1&uploadId={id}", [], ("x-amz-copy-source", $"/{from}/k"), ("x-amz-copy-source-range", "bytes=0-5242879"))).Ok();
        var second = (await S3.PutAsync($"/{to}/k2?partNumber=2&uploadId={id}", [], ("x-amz-copy-source", $"/{from}/k"), ("x-amz-copy-source-range", "bytes=5242880-6291455"))).Ok();
        var document = $"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{first.Only("ETag")}</ETag></Part><Part><PartNumber>2</PartNumber><ETag>{second.Only("ETag")}</ETag></Part></CompleteMultipartUpload>";
        (await S3.SendAsync("POST", $"/{to}/k2?uploadId={id}", Encoding.UTF8.GetBytes(document))).Ok();
        Assert.Equal(large, (await S3.GetAsync($"/{to}/k2")).Ok().Body);
    }

    [Theory]
    [InlineData("here", "prod")]
    [InlineData("prod", "here")]
    [InlineData("here", "here")]
    public async Task PartCopy_RangePastTheEnd_IsRefused(string from, string to)
    {
        (await S3.PutAsync($"/{from}/k", MakeBytes(100))).Ok();
        var id = (await S3.SendAsync("POST", $"/{to}/k2?uploads=", [])).Ok().Only("UploadId");
        Task<S3Result> CopyAsync(string range) => S3.PutAsync($"/{to}/k2?partNumber=1&uploadId={id}", [], ("x-amz-copy-source", $"/{from}/k"), ("x-amz-copy-source-range", range));
        Assert.Equal("InvalidRange", (await CopyAsync("bytes=0-100")).Is(HttpStatusCode.RequestedRangeNotSatisfiable).Code);
        Assert.Equal("InvalidRange", (await CopyAsync("bytes=100-100")).Is(HttpStatusCode.RequestedRangeNotSatisfiable).Code);
        (await CopyAsync("bytes=0-99")).Ok();
    }

    [Fact]
    public async Task PrefixRoute_GoesWhereItsKeysAre()
    {
        (await S3.PutAsync("/split/far/a", Bytes)).Ok();
        (await S3.PutAsync("/split/near", Bytes)).Ok();
        Assert.NotNull(_several.Second.Store.Find("split", "far/a"));
        Assert.Null(_several.Second.Store.Find("split", "near"));
        Assert.Contains("far/a", (await S3.GetAsync("/split?list-type=2&prefix=far%2F")).Ok().All("Key"));
        Assert.Equal(["far/a", "near"], (await S3.GetAsync("/split?list-type=2")).Ok().All("Key"));

        static byte[] Delete(params string[] keys) => Encoding.UTF8.GetBytes($"<Delete>{string.Concat(keys.Select(key => $"<Object><Key>{key}</Key></Object>"))}</Delete>");
        Task<S3Result> DeleteAsync(params string[] keys) => S3.SendAsync("POST", "/split?delete=", Delete(keys), ("Content-MD5", Convert.ToBase64String(MD5.HashData(Delete(keys)))));
        (await DeleteAsync("far/a", "near")).Is(HttpStatusCode.NotImplemented);
        Assert.NotNull(_several.Second.Store.Find("split", "far/a"));
        (await DeleteAsync("far/a")).Ok();
        Assert.Null(_several.Second.Store.Find("split", "far/a"));
        (await DeleteAsync("near")).Ok();
        Assert.Equal("NoSuchKey", (await S3.GetAsync("/split/near")).Code);
    }

    /// <summary>What AWS's SDKs send: the checksum comes behind the document, and a store that gets the plain document is promised none that is not there.</summary>
    [Fact]
    public async Task DeleteObjects_ChecksumInATrailer_PrefixRoutes_ReachesBothKindsOfStoreWithADigest()
    {
        await using var wire = new S3Wire(_several.Proxy.Endpoint, "split");
        foreach (var key in (string[])["far/a", "near"])
        {
            (await S3.PutAsync($"/split/{key}", Bytes)).Ok();
            var document = Encoding.UTF8.GetBytes($"<Delete><Object><Key>{key}</Key></Object></Delete>");
            using var sum = IncrementalChecksum.Create(ChecksumAlgorithm.Crc32);
            sum.Append(document);
            (await wire.SendAsync(new WireRequest("POST", "/split?delete=")
            {
                Body = document,
                Headers = [new("x-amz-sdk-checksum-algorithm", "CRC32"), new("Content-Encoding", "aws-chunked")],
                PayloadHash = PayloadHash.StreamingUnsignedTrailer,
                Trailers = [new("x-amz-checksum-crc32", sum.GetBase64AndReset())],
            })).Expect(200);
            Assert.Equal("NoSuchKey", (await S3.GetAsync($"/split/{key}")).Code);
        }

        var arrived = Assert.Single(_several.Second.Requests, request => request.Operation == "DeleteObjects");
        Assert.Null(arrived.Header("x-amz-sdk-checksum-algorithm"));
        Assert.Null(arrived.Header("x-amz-trailer"));
        Assert.Null(arrived.Header("Content-Encoding"));
        Assert.Equal(Convert.ToBase64String(MD5.HashData(arrived.Body!)), arrived.Header("Content-MD5"));
    }

    /// <summary>MinIO takes an archive of users at this path, from whoever signs with the keys that the proxy has there.</summary>
    [Fact]
    public async Task Copy_AcrossBackends_ToWhereTheStoreIsManaged_IsDenied()
    {
        (await S3.PutAsync("/here/archive", Bytes)).Ok();
        (await S3.PutAsync("/minio/admin/v3/import-iam", [], ("x-amz-copy-source", "/here/archive"))).Is(HttpStatusCode.Forbidden);
        Assert.DoesNotContain(_several.First.Requests, request => request.Method == "PUT");
    }

    /// <summary>One store, and still two places: a key must not be deleted, or be said to be, where it does not lie.</summary>
    [Fact]
    public async Task DeleteObjects_OfTwoBucketsOfOneStore_IsRefused()
    {
        var store = _several.First.Store;
        store.CreateBucket("parted");
        store.CreateBucket("parted-moved");
        store.TryPut("parted-moved", "moved/a", FaultyObject.Of(Bytes));
        store.TryPut("parted", "b", FaultyObject.Of(Bytes));
        store.TryPut("parted-moved", "b", FaultyObject.Of(Bytes)); // nobody's business here
        var document = "<Delete><Object><Key>moved/a</Key></Object><Object><Key>b</Key></Object></Delete>"u8.ToArray();
        (await S3.SendAsync("POST", "/parted?delete=", document, ("Content-MD5", Convert.ToBase64String(MD5.HashData(document))))).Is(HttpStatusCode.NotImplemented);
        Assert.NotNull(store.Find("parted-moved", "b"));
        Assert.NotNull(store.Find("parted-moved", "moved/a"));
    }

    internal static byte[] MakeBytes(int length)
    {
        var bytes = new byte[length];
        new Random(20261122).NextBytes(bytes);
        return bytes;
    }
}
