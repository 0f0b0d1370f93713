using System.Net;
using Proxy.FunctionalTests.Backends;
using Proxy.FunctionalTests.Faults;

namespace Proxy.FunctionalTests.Forwarding;

/// <summary>A backend refuses the keys that the proxy has there: no client is told that its own are wrong, nor what the proxy's are.</summary>
public sealed class KeyRefusalTests : IAsyncLifetime
{
    private static readonly (string Method, string Target)[] Requests =
    [
        ("PUT", "/data/k"), ("PUT", "/data/files/wp/1.blk"), ("GET", "/data?list-type=2"), ("GET", "/data/files/wp/1.blk"), ("GET", "/data/k?versionId=1"), ("GET", "/data/k"),
        ("DELETE", "/data/k"), ("POST", "/data/k?uploads="), ("PUT", "/data/k?tagging="), ("GET", "/"), ("PUT", "/other"),
    ];

    private SeveralBackends _several = null!;

    public async ValueTask InitializeAsync()
    {
        _several = await SeveralBackends.StartAsync(several => new { Backend = SeveralBackends.Remote(several.First) });
        _several.First.Store.CreateBucket("data");
    }

    public ValueTask DisposeAsync() => _several.DisposeAsync();

    [Theory]
    [InlineData(403, "InvalidAccessKeyId")]
    [InlineData(403, "SignatureDoesNotMatch")]
    [InlineData(400, "ExpiredToken")]
    [InlineData(400, "InvalidToken")]
    [InlineData(403, "RequestTimeTooSkewed")]
    [InlineData(403, "RequestExpired")]
    public async Task RefusalOfTheProxysKeys_IsAnErrorOfTheProxys_OnEveryRoad(int status, string code)
    {
        _several.First.Break("*", new Fault { Status = status, Document = Document(code) });
        foreach (var (method, target) in Requests)
        {
            var answer = (await _several.S3.SendAsync(method, target, method is "PUT" or "POST" ? [1] : null)).Is(HttpStatusCode.InternalServerError);
            Assert.Equal("InternalError", answer.Code);
            Assert.Contains(code, answer.Only("Message"), StringComparison.Ordinal);
            Assert.DoesNotContain("backend-key", answer.Text, StringComparison.Ordinal);
            Assert.DoesNotContain("AKIA", answer.Text, StringComparison.Ordinal);
            Assert.NotEmpty(answer.Header("x-amz-request-id")!);
        }

        // No document says why HEAD is refused: what was just said does.
        foreach (var target in (string[])["/data/k", "/data/files/wp/1.blk", "/data"])
        {
            (await _several.S3.SendAsync("HEAD", target, null)).Is(HttpStatusCode.InternalServerError);
        }

        await _several.LoggedAsync($"Backend default refuses the proxy's own credentials ({code})");
        Assert.Equal(2, _several.Proxy.Log.Split("refuses the proxy's own credentials").Length); // once, not for every request

        // And it is over when the keys are right again.
        _several.First.Heal();
        (await _several.S3.PutAsync("/data/k", [1])).Ok();
        Assert.Equal([1], (await _several.S3.GetAsync("/data/k")).Ok().Body);
    }

    /// <summary>It may be the object's policy or the proxy's key that lacks a right: the client's word, and the operator's too.</summary>
    [Fact]
    public async Task AccessDenied_IsTheClients_AndLogged_WithoutTheProxysKey()
    {
        _several.First.Break("*", new Fault { Status = 403, Document = Document("AccessDenied") });
        foreach (var (method, target) in Requests)
        {
            var answer = (await _several.S3.SendAsync(method, target, method is "PUT" or "POST" ? [1] : null)).Is(HttpStatusCode.Forbidden);
            Assert.Equal("AccessDenied", answer.Code);
            Assert.DoesNotContain("AKIA", answer.Text, StringComparison.Ordinal);
        }

        (await _several.S3.SendAsync("HEAD", "/data/k", null)).Is(HttpStatusCode.Forbidden);
        await _several.LoggedAsync("Backend default denies a request (AccessDenied)");
        Assert.Equal(2, _several.Proxy.Log.Split("denies a request").Length);
    }

    /// <summary>What a 400 says of the request itself goes on as it came.</summary>
    [Fact]
    public async Task OtherRefusal_GoesOnAsItCame()
    {
        const string Said = "<Error><Code>InvalidArgument</Code><Message>Said so.</Message><ArgumentName>x</ArgumentName></Error>";
        _several.First.Break("*", new Fault { Status = 400, Document = Said });
        var answer = (await _several.S3.PutAsync("/data/k", [1])).Is(HttpStatusCode.BadRequest);
        Assert.Equal(Said, answer.Text);
        Assert.DoesNotContain("credentials (", _several.Proxy.Log, StringComparison.Ordinal);
    }

    private static string Document(string code) => $"<Error><Code>{code}</Code><Message>Not these.</Message><AWSAccessKeyId>AKIABACKEND</AWSAccessKeyId></Error>";
}
