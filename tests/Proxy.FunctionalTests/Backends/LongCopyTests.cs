using System.Text;
using Proxy.FunctionalTests.Faults;
using Proxy.FunctionalTests.Operations.Wire;

namespace Proxy.FunctionalTests.Backends;

/// <summary>Copies from one backend to another that take long, or are of more than one copy may be.</summary>
public sealed class LongCopyTests : IAsyncLifetime
{
    private const long Gigabyte = 1L << 30;

    private static readonly byte[] Bytes = SeveralBackendsTests.MakeBytes(700_000);

    private SeveralBackends _several = null!;
    private S3Wire _wire = null!;

    public async ValueTask InitializeAsync()
    {
        _several = await SeveralBackends.StartAsync(several => new
        {
            Backends = new Dictionary<string, object> { ["one"] = SeveralBackends.Remote(several.First), ["two"] = SeveralBackends.Remote(several.Second) },
            Routes = new object[] { new { Bucket = "far", Backend = "one" }, new { Bucket = "source", Backend = "two" } },
        });
        _several.First.Store.CreateBucket("far");
        _several.Second.Store.CreateBucket("source");
        _several.Second.Store.TryPut("source", "k", FaultyObject.Of(Bytes));
        (await _several.S3.PutAsync("/near", [])).Ok();
        _wire = new S3Wire(_several.Proxy.Endpoint, "far");
    }

    public async ValueTask DisposeAsync()
    {
        await _wire.DisposeAsync();
        await _several.DisposeAsync();
    }

    /// <summary>Silent until it was done, it outlasted its client's patience.</summary>
    [Theory]
    [InlineData("/far/copy", false)]
    [InlineData("/near/copy", false)]
    [InlineData("/far/copy", true)]
    public async Task CopyThatTakesLong_KeepsItsClient(string target, bool isPart)
    {
        var upload = isPart ? await _wire.CreateUploadAsync("/copy") : null;
        _several.Second.Break("GetObject", new Fault { BytesPerSecond = 120_000 }); // 6 s
        await using var connection = await SendAsync(isPart ? $"{target}?partNumber=1&uploadId={upload}" : target);
        await connection.HasBegunAsync();
        Assert.Null(_several.First.Store.Find("far", "copy"));
        var answer = (await connection.ReadAnswerAsync()).Expect(200);
        Assert.Matches("^<\\?xml version=\"1.0\" encoding=\"UTF-8\"\\?>\n  +\n?<Copy(Object|Part)Result", answer.Text);
        var etag = answer.Value("ETag")!;
        if (isPart)
        {
            (await _wire.CompleteAsync("/copy", upload!, [(1, etag)])).Expect(200);
        }

        _several.Second.Heal();
        Assert.Equal(Bytes, (await _several.S3.GetAsync(target)).Ok().Body);

        // The connection is as good as it was: the next request is answered on it.
        var (head, _) = _wire.Encode(new WireRequest("GET", target));
        await connection.WriteAsync(head);
        Assert.Equal(Bytes, (await connection.ReadAnswerAsync()).Expect(200).Body);
    }

    [Theory]
    [InlineData("/far/copy")]
    [InlineData("/near/copy")]
    public async Task CopyThatFailsLate_EndsInAnErrorDocument_AndStoresNothing(string target)
    {
        _several.Second.Break("GetObject", new Fault { BytesPerSecond = 100_000, ResetAfterBytes = 400_000 });
        await using var connection = await SendAsync(target);
        var answer = (await connection.ReadAnswerAsync()).Expect(200, "SlowDown");
        Assert.Equal("Error", answer.Xml.Name.LocalName);
        Assert.Equal("NoSuchKey", (await _several.S3.GetAsync(target)).Code);
    }

    /// <summary>It was left out, and the copy was private where somebody had asked for another.</summary>
    [Fact]
    public async Task AclOfTheRequest_GoesToTheDestination()
    {
        (await _several.S3.PutAsync("/far/copy", [], ("x-amz-copy-source", "/source/k"), ("x-amz-acl", "public-read"), ("x-amz-expected-bucket-owner", "42"))).Ok();
        var put = _several.First.Requests.Single(request => request.Operation == "PutObject");
        Assert.Equal("public-read", put.Header("x-amz-acl"));
        Assert.Equal("42", put.Header("x-amz-expected-bucket-owner"));
        put.AssertSigned("backend-key", "backend-secret", "us-east-1");
        (await _several.S3.PutAsync("/far/copy", [], ("x-amz-copy-source", "/source/k"), ("x-amz-source-expected-bucket-owner", "42"))).Is(System.Net.HttpStatusCode.NotImplemented);
    }

    /// <summary>As within one store: a source of more than 5 GiB is copied by parts. The source is only said to be so long.</summary>
    [Theory]
    [InlineData("far")]
    [InlineData("near")]
    public async Task SourceBeyondFiveGigabytes_IsRefusedWhole_AndCopiedByParts(string bucket)
    {
        _several.Second.Break("GetObject", new Fault { ObjectLength = 6 * Gigabyte });
        _several.Second.Break("HeadObject", new Fault { ObjectLength = 6 * Gigabyte });
        var refused = await _several.S3.PutAsync($"/{bucket}/big", [], ("x-amz-copy-source", "/source/k"));
        Assert.Equal("InvalidRequest", refused.Is(System.Net.HttpStatusCode.BadRequest).Code);
        Assert.Contains("5368709120", refused.Only("Message"), StringComparison.Ordinal);

        var id = (await _several.S3.SendAsync("POST", $"/{bucket}/big?uploads=", [])).Ok().Only("UploadId");
        Assert.Equal("InvalidRequest", (await PartAsync(1, 0, (6 * Gigabyte) - 1)).Code);

        // The last bytes of it, beyond what 32 bits count.
        var (from, to) = ((6 * Gigabyte) - 300_000, (6 * Gigabyte) - 1);
        var part = (await PartAsync(1, from, to)).Ok().Only("ETag");
        var document = $"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{part}</ETag></Part></CompleteMultipartUpload>";
        (await _several.S3.SendAsync("POST", $"/{bucket}/big?uploadId={id}", Encoding.UTF8.GetBytes(document))).Ok();
        var copied = (await _several.S3.GetAsync($"/{bucket}/big")).Ok().Body;
        Assert.Equal(300_000, copied.Length);
        for (var i = 0; i < copied.Length; i++)
        {
            Assert.Equal(FaultyOperations.ByteAt(from + i), copied[i]);
        }

        Task<S3Result> PartAsync(int number, long first, long last) => _several.S3.PutAsync(
            $"/{bucket}/big?partNumber={number}&uploadId={id}", [], ("x-amz-copy-source", "/source/k"), ("x-amz-copy-source-range", $"bytes={first}-{last}"));
    }

    private async Task<WireConnection> SendAsync(string target)
    {
        var (head, _) = _wire.Encode(new WireRequest("PUT", target) { Headers = [new("x-amz-copy-source", "/source/k")] });
        var connection = await WireConnection.OpenAsync(_several.Proxy.Endpoint);
        await connection.WriteAsync(head);
        return connection;
    }
}
