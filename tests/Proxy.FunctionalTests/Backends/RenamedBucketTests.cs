using System.Net;
using System.Text;
using System.Text.Json;
using Proxy.FunctionalTests.Hosting;

namespace Proxy.FunctionalTests.Backends;

/// <summary>A bucket that has another name in its backend, a server of ours: no answer, good or bad, tells that name.</summary>
public sealed class RenamedBucketTests : IAsyncLifetime
{
    private const string Secret = "its-name-over-there";

    private readonly string _file = Path.Combine(Directory.CreateTempSubdirectory("proxy-renamed-").FullName, "proxy.json");
    private ProxyProcess _far = null!;
    private ProxyProcess _proxy = null!;
    private S3Caller _s3 = null!;

    public async ValueTask InitializeAsync()
    {
        _far = await ProxyProcess.StartAsync();
        object Remote(Dictionary<string, string> map) => new { Endpoints = new[] { _far.Endpoint.ToString() }, ProxyProcess.AccessKey, ProxyProcess.SecretKey, BucketMap = map };
        await File.WriteAllTextAsync(_file, JsonSerializer.Serialize(new
        {
            Backends = new Dictionary<string, object> { ["far"] = Remote([]), ["mapping"] = Remote(new() { ["mapped"] = Secret + "-2" }) },
            Routes = new object[]
            {
                new { Bucket = "routed", Backend = "far", BackendBucket = Secret },
                new { Bucket = "mapped", Backend = "mapping" },
                new { Bucket = "local", Backend = "local", BackendBucket = Secret },
            },
        }));
        _proxy = await ProxyProcess.StartAsync(["--config", _file]);
        _s3 = new S3Caller(_proxy.Endpoint);
    }

    public async ValueTask DisposeAsync()
    {
        _s3.Dispose();
        await _proxy.DisposeAsync();
        await _far.DisposeAsync();
        Directory.Delete(Path.GetDirectoryName(_file)!, recursive: true);
    }

    [Theory]
    [InlineData("routed")]
    [InlineData("mapped")]
    [InlineData("local")]
    public async Task EveryAnswer_NamesTheBucketAsTheClientDoes(string bucket)
    {
        (HttpStatusCode Status, string? Code) notFound = (HttpStatusCode.NotFound, "NoSuchKey"), noUpload = (HttpStatusCode.NotFound, "NoSuchUpload"), ok = (HttpStatusCode.OK, null);
        await AskAsync(HttpStatusCode.NotFound, "NoSuchBucket", "GET", "?list-type=2");
        await AskAsync(HttpStatusCode.NotFound, "NoSuchBucket", "PUT", "/k", [1]);
        await AskAsync(HttpStatusCode.NotFound, "NoSuchBucket", "GET", "/k");
        Assert.Equal($"/{bucket}", (await AskAsync(HttpStatusCode.OK, null, "PUT", "")).Header("Location"));
        await AskAsync(null, null, "PUT", ""); // once more: 200 in us-east-1, or BucketAlreadyOwnedByYou
        foreach (var query in (string[])["?location", "?versioning", "?uploads", "?list-type=2", "?max-keys=1", "?list-type=2&encoding-type=url&prefix=a&delimiter=%2F"])
        {
            await AskAsync(HttpStatusCode.OK, null, "GET", query);
        }

        await AskAsync(HttpStatusCode.OK, null, "PUT", "/k", [1, 2, 3]);
        await AskAsync(HttpStatusCode.Conflict, "BucketNotEmpty", "DELETE", "");
        await AskAsync(notFound.Status, notFound.Code, "GET", "/none");
        await AskAsync(notFound.Status, notFound.Code, "GET", "/none?tagging");
        await AskAsync(notFound.Status, notFound.Code, "GET", "/none?attributes", null, ("x-amz-object-attributes", "ETag"));
        await AskAsync(HttpStatusCode.NotFound, null, "HEAD", "/none");
        await AskAsync(HttpStatusCode.RequestedRangeNotSatisfiable, "InvalidRange", "GET", "/k", null, ("Range", "bytes=10-"));
        await AskAsync(HttpStatusCode.PreconditionFailed, "PreconditionFailed", "GET", "/k", null, ("If-Match", "\"other\""));
        await AskAsync(HttpStatusCode.PreconditionFailed, "PreconditionFailed", "PUT", "/k", [1], ("If-None-Match", "*"));
        await AskAsync(HttpStatusCode.OK, null, "PUT", "/copy", [], ("x-amz-copy-source", $"/{bucket}/k"));
        await AskAsync(notFound.Status, notFound.Code, "PUT", "/copy", [], ("x-amz-copy-source", $"{bucket}%2Fnone"));
        (await _s3.PutAsync("/plain", [])).Ok();
        AssertSilent(await _s3.PutAsync("/plain/copy", [], ("x-amz-copy-source", $"/{bucket}/none")), $"copy of a missing key from {bucket}");
        AssertSilent(await _s3.SendAsync("GET", "/", null), "ListBuckets");
        Assert.Contains(bucket, (await _s3.GetAsync("/")).Ok().All("Name"));

        const string Key = "/files/a%20%26b";
        var started = await AskAsync(ok.Status, ok.Code, "POST", $"{Key}?uploads=", []);
        var id = started.Only("UploadId");
        Assert.Equal(bucket, started.Only("Bucket"));
        var part = await AskAsync(HttpStatusCode.OK, null, "PUT", $"{Key}?partNumber=1&uploadId={id}", [1, 2, 3]);
        Assert.Equal(bucket, (await AskAsync(HttpStatusCode.OK, null, "GET", $"{Key}?uploadId={id}")).Only("Bucket"));
        Assert.Equal(bucket, (await AskAsync(HttpStatusCode.OK, null, "GET", "?uploads")).Only("Bucket"));
        var document = Encoding.UTF8.GetBytes($"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{part.Header("ETag")}</ETag></Part></CompleteMultipartUpload>");
        await AskAsync(noUpload.Status, noUpload.Code, "POST", $"/other?uploadId={id}", document);
        var completed = await AskAsync(HttpStatusCode.OK, null, "POST", $"{Key}?uploadId={id}", document);
        Assert.Equal(bucket, completed.Only("Bucket"));
        Assert.StartsWith($"{_proxy.Endpoint}{bucket}/files/a", completed.Only("Location"), StringComparison.Ordinal);
        await AskAsync(noUpload.Status, noUpload.Code, "DELETE", $"{Key}?uploadId={Guid.NewGuid():N}");

        // A backend that is gone is told of in the client's words too.
        if (bucket != "local")
        {
            await _far.KillAsync();
            await AskAsync(HttpStatusCode.ServiceUnavailable, "SlowDown", "GET", "/never-read");
            await AskAsync(HttpStatusCode.ServiceUnavailable, "SlowDown", "PUT", "/k", [1]);
            await _far.StartAgainAsync();
        }

        async Task<S3Result> AskAsync(HttpStatusCode? status, string? code, string method, string target, byte[]? body = null, params (string Name, string Value)[] headers)
        {
            var answer = await _s3.SendAsync(method, $"/{bucket}{target}", body ?? (method == "PUT" ? [] : null), headers);
            AssertSilent(answer, $"{method} {target}");
            if (status is { } expected)
            {
                Assert.True(answer.Status == expected && (code is null || answer.Code == code), $"{method} {target}: {(int)answer.Status} {answer.Text}");
            }

            if (answer.Code is not null)
            {
                Assert.StartsWith($"/{bucket}", answer.Only("Resource"), StringComparison.Ordinal);
            }

            return answer;
        }
    }

    private static void AssertSilent(S3Result answer, string what)
    {
        Assert.False(answer.Text.Contains(Secret, StringComparison.Ordinal), $"{what}: {answer.Text}");
        Assert.All(answer.Headers, header => Assert.DoesNotContain(Secret, header.Value, StringComparison.Ordinal));
    }
}
