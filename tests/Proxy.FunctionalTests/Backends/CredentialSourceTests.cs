using System.Diagnostics;
using System.Globalization;
using System.Net;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using Proxy.FunctionalTests.Faults;
using Proxy.FunctionalTests.Hosting;
using Proxy.FunctionalTests.Telemetry;

namespace Proxy.FunctionalTests.Backends;

/// <summary>Where the proxy's own keys come from; services that give them out are played on loopback.</summary>
public sealed class CredentialSourceTests : IAsyncLifetime
{
    private FaultyBackend _backend = null!;

    public async ValueTask InitializeAsync() => _backend = await FaultyBackend.StartAsync(0, "a-bucket");

    public ValueTask DisposeAsync() => _backend.DisposeAsync();

    [Fact]
    public async Task Environment_SignsForwardsAndReads()
    {
        await using var proxy = await StartAsync("Environment", new() { ["AWS_ACCESS_KEY_ID"] = "env-key", ["AWS_SECRET_ACCESS_KEY"] = "env-secret", ["AWS_SESSION_TOKEN"] = "env-token" });
        await AssertSignedAsync(proxy, "env-key", "env-secret", "env-token");
    }

    [Fact]
    public async Task Profile_SignsForwardsAndReads()
    {
        var file = Path.GetTempFileName();
        await File.WriteAllTextAsync(file, "[milvus]\naws_access_key_id = profile-key\naws_secret_access_key = profile-secret\n");
        await using var proxy = await StartAsync("Profile", new() { ["AWS_SHARED_CREDENTIALS_FILE"] = file }, "--set", "Backend:Profile=milvus");
        await AssertSignedAsync(proxy, "profile-key", "profile-secret", null);
        File.Delete(file);
    }

    [Fact]
    public async Task InstanceMetadata_KeysThatSoonExpire_AreRenewedUnderTheRequests()
    {
        var given = 0;
        await using var service = await ServeAsync(context =>
        {
            if (MetadataOf(context) is { } answer)
            {
                return answer;
            }

            var n = Interlocked.Increment(ref given);
            return MetadataKeys(n, DateTimeOffset.UtcNow.AddSeconds(n == 1 ? 30 : 7200));
        });
        await using var proxy = await StartAsync("Imds", new() { ["AWS_EC2_METADATA_SERVICE_ENDPOINT"] = service.Urls.First() });
        using var s3 = new S3Caller(proxy.Endpoint);
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(45));
        do
        {
            Assert.False(patience.IsCancellationRequested, "the keys were never renewed");
            (await s3.PutAsync("/a-bucket/k", [1])).Ok();
            await Task.Delay(100);
        }
        while (_backend.Requests.Last().Header("Authorization")!.Contains("imds-1/", StringComparison.Ordinal));

        await AssertSignedAsync(proxy, "imds-2", "secret-2", "token-2");
    }

    [Fact]
    public async Task WebIdentity_TokenBecomesKeys()
    {
        var tokenFile = Path.GetTempFileName();
        await File.WriteAllTextAsync(tokenFile, "a-web-token");
        await using var sts = await ServeAsync(_ => StsAnswer("sts", DateTimeOffset.UtcNow.AddHours(1)));
        await using var proxy = await StartAsync("WebIdentity", WebIdentity(tokenFile, sts));
        await AssertSignedAsync(proxy, "sts-key", "sts-secret", "sts-token");
        File.Delete(tokenFile);
    }

    /// <summary>The SDK reads the document synchronously: not on a thread that has to bring it.</summary>
    [Fact]
    public async Task WebIdentity_AnswerThatComesInPieces_IsReadAtOnce()
    {
        var tokenFile = Path.GetTempFileName();
        await File.WriteAllTextAsync(tokenFile, "a-web-token");
        await using var sts = await ServeAsync(_ => StsAnswer("sts", DateTimeOffset.UtcNow.AddHours(1)), headFirst: TimeSpan.FromMilliseconds(200));
        await using var proxy = await StartAsync("WebIdentity", WebIdentity(tokenFile, sts));
        var started = Stopwatch.GetTimestamp();
        await AssertSignedAsync(proxy, "sts-key", "sts-secret", "sts-token");
        Assert.InRange(Stopwatch.GetElapsedTime(started).TotalSeconds, 0.2, 10);
        File.Delete(tokenFile);
    }

    /// <summary>Kubernetes rewrites the token's file; STS may be away for a moment. Requests notice neither.</summary>
    [Fact]
    public async Task WebIdentity_KeysThatSoonExpire_AreRenewedUnderTheRequests()
    {
        var tokenFile = Path.GetTempFileName();
        await File.WriteAllTextAsync(tokenFile, "token-1");
        var given = new List<(string Token, DateTimeOffset Expires)>();
        var refusals = 8; // more than the SDK asks again within one renewal
        await using var sts = await ServeAsync(context =>
        {
            lock (given)
            {
                if (given.Count == 1 && refusals-- > 0)
                {
                    context.Response.StatusCode = 503;
                    return "not now";
                }

                // The first keys are inside the SDK's window for renewal from the start, and still good for a minute.
                var expires = DateTimeOffset.UtcNow.AddSeconds(given.Count == 0 ? 60 : 7200);
                given.Add((context.Request.Form["WebIdentityToken"].ToString(), expires));
                File.WriteAllText(tokenFile, "token-2");
                return StsAnswer($"sts-{given.Count}", expires);
            }
        });
        await using var proxy = await StartAsync("WebIdentity", WebIdentity(tokenFile, sts));
        using var s3 = new S3Caller(proxy.Endpoint);
        for (var i = 0; !(IsSignedBy("PutObject", "sts-2-key") && IsSignedBy("GetObject", "sts-2-key")); i++)
        {
            Assert.True(given.Count == 0 || DateTimeOffset.UtcNow < given[0].Expires, $"not renewed before the first keys expired:\n{proxy.LogTail}");
            (await s3.PutAsync("/a-bucket/k", [1])).Ok();
            _backend.Store.TryPut("a-bucket", $"cold-{i}", FaultyObject.Of([2]));
            (await s3.GetAsync($"/a-bucket/cold-{i}")).Ok();
            await Task.Delay(50);
        }

        await AssertSignedAsync(proxy, "sts-2-key", "sts-2-secret", "sts-2-token");
        Assert.True(IsSignedBy("PutObject", "sts-1-key", first: true), "the first keys were never used: the test shows no renewal");
        Assert.Equal(["token-1", "token-2"], given.Select(one => one.Token));
        File.Delete(tokenFile);

        bool IsSignedBy(string operation, string key, bool first = false)
        {
            var requests = _backend.Requests.Where(arrived => arrived.Operation == operation);
            var request = first ? requests.FirstOrDefault() : requests.LastOrDefault();
            return request?.Header("Authorization")!.Contains($"={key}/", StringComparison.Ordinal) == true;
        }
    }

    /// <summary>Whatever waits for the service, the threads that serve connections do not: everybody's hits would wait as well.</summary>
    [Theory]
    [InlineData("WebIdentity")]
    [InlineData("Imds")]
    public async Task AnyService_RenewalThatTakesLong_HoldsUpNoHit(string source)
    {
        var slow = TimeSpan.FromSeconds(6);
        var tokenFile = Path.GetTempFileName();
        await File.WriteAllTextAsync(tokenFile, "a-web-token");
        var (given, renewing) = (0, new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously));
        await using var service = await ServeAsync(async context =>
        {
            if (source == "Imds" && MetadataOf(context) is { } answer)
            {
                return answer;
            }

            var n = Interlocked.Increment(ref given);
            var until = DateTimeOffset.UtcNow.AddSeconds(n == 1 ? 30 : 7200);
            var (type, keys) = source == "Imds" ? ("application/json", MetadataKeys(n, until)) : ("text/xml", StsAnswer($"sts-{n}", until));
            if (n > 1)
            {
                context.Response.ContentType = type;
                await context.Response.StartAsync();
                renewing.TrySetResult();
                await Task.Delay(slow);
            }

            return keys;
        });
        var environment = source == "Imds" ? new() { ["AWS_EC2_METADATA_SERVICE_ENDPOINT"] = service.Urls.First() } : WebIdentity(tokenFile, service);
        await using var proxy = await StartAsync(source, environment);
        const string Hot = "files/insert_log/1/2/3/4/5"; // never asked for again once it is known
        _backend.Store.TryPut("a-bucket", Hot, FaultyObject.Of([1, 2, 3]));
        using var s3 = new S3Caller(proxy.Endpoint);
        (await s3.GetAsync($"/a-bucket/{Hot}")).Ok();

        // Several connections, so that every loop has some, each with a change that needs the keys and with hits.
        using var stop = new CancellationTokenSource();
        var callers = Enumerable.Range(0, 8).Select(async caller =>
        {
            using var own = new S3Caller(proxy.Endpoint);
            var longest = TimeSpan.Zero;
            var change = Task.CompletedTask;
            for (var i = 0; !stop.IsCancellationRequested; i++)
            {
                change = change.IsCompleted ? own.PutAsync($"/a-bucket/{caller}-{i}", [1]) : change; // may be told SlowDown: that is not what is looked at
                var started = Stopwatch.GetTimestamp();
                (await own.GetAsync($"/a-bucket/{Hot}")).Ok();
                longest = Stopwatch.GetElapsedTime(started) is var took && renewing.Task.IsCompleted && took > longest ? took : longest;
                await Task.Delay(5);
            }

            await change;
            return longest;
        }).ToArray();
        await renewing.Task.WaitAsync(TimeSpan.FromSeconds(60));
        await Task.Delay(slow / 2);
        await stop.CancelAsync();
        Assert.All(await Task.WhenAll(callers), longest => Assert.InRange(longest, TimeSpan.Zero, slow / 3));
        File.Delete(tokenFile);
    }

    /// <summary>The backend is well all the while, so its breaker stays shut: here it would open at the first failure and stay so for an hour.</summary>
    [Fact]
    public async Task WebIdentity_ServiceDown_IsNotTheBackendsFailure()
    {
        var tokenFile = Path.GetTempFileName();
        await File.WriteAllTextAsync(tokenFile, "a-web-token");
        var port = Loopback.FreePorts();
        Dictionary<string, string> environment = new(WebIdentity(tokenFile, new Uri($"http://127.0.0.1:{port}"))) { ["AWS_MAX_ATTEMPTS"] = "1" };
        await using var proxy = await StartAsync("WebIdentity", environment, "--set", "Backend:Health:FailuresToOpen=1", "--set", "Backend:Health:OpenFor=01:00:00");
        using var s3 = new S3Caller(proxy.Endpoint);
        _backend.Store.TryPut("a-bucket", "read", FaultyObject.Of([4, 5]));
        (string Method, string Target, byte[]? Body, (string, string)[] Headers)[] requests =
        [
            ("GET", "/a-bucket/read", null, []), ("HEAD", "/a-bucket/read", null, []), ("PUT", "/a-bucket/forwarded", [1], []), ("GET", "/a-bucket?list-type=2", null, []),
        ];
        var answers = await Task.WhenAll(requests.Select(one => s3.SendAsync(one.Method, one.Target, one.Body, one.Headers)));
        Assert.All(answers, answer => Assert.Equal(HttpStatusCode.ServiceUnavailable, answer.Status));
        Assert.All(answers.Where(answer => answer.Body.Length > 0), answer => Assert.Contains("credentials", answer.Only("Message"), StringComparison.Ordinal));
        Assert.Empty(_backend.Requests);
        Assert.DoesNotContain("could not be reached", proxy.Log, StringComparison.Ordinal);
        Assert.Contains("WebIdentity", proxy.Log, StringComparison.Ordinal);
        Assert.Equal(0, new MetricsPage(await proxy.ReadMetricsAsync()).Sum("s3_proxy_backend_breakers_open"));

        await using var sts = await ServeAsync(_ => StsAnswer("sts", DateTimeOffset.UtcNow.AddHours(1)), port: port);
        await AssertSignedAsync(proxy, "sts-key", "sts-secret", "sts-token");
        File.Delete(tokenFile);
    }

    /// <summary>The SDK's own order: the environment before a profile, a profile before the machine's role.</summary>
    [Theory]
    [InlineData(true, true, "env-key", "env-secret")]
    [InlineData(false, true, "profile-key", "profile-secret")]
    [InlineData(false, false, "imds-key", "imds-secret")]
    public async Task Default_TakesTheFirstThatHasKeys(bool inEnvironment, bool inProfile, string accessKey, string secretKey)
    {
        await using var service = await ServeAsync(context => context.Request.Path.Value!.Split('/')[^1] switch
        {
            "token" => "token",
            "" or "security-credentials" => "a-role",
            _ => """{"Code":"Success","LastUpdated":"2026-01-01T00:00:00Z","Type":"AWS-HMAC","AccessKeyId":"imds-key","SecretAccessKey":"imds-secret","Token":"imds-token","Expiration":"2099-01-01T00:00:00Z"}""",
        });
        var file = Path.GetTempFileName();
        await File.WriteAllTextAsync(file, inProfile ? "[default]\naws_access_key_id = profile-key\naws_secret_access_key = profile-secret\n" : "");
        Dictionary<string, string> environment = new() { ["AWS_SHARED_CREDENTIALS_FILE"] = file, ["AWS_CONFIG_FILE"] = "/dev/null", ["AWS_EC2_METADATA_SERVICE_ENDPOINT"] = service.Urls.First() };
        if (inEnvironment)
        {
            (environment["AWS_ACCESS_KEY_ID"], environment["AWS_SECRET_ACCESS_KEY"]) = ("env-key", "env-secret");
        }

        await using var proxy = await StartAsync("Default", environment, instanceMetadata: true);
        await AssertSignedAsync(proxy, accessKey, secretKey, inEnvironment || inProfile ? null : "imds-token");
        File.Delete(file);
    }

    /// <summary>Nothing to sign with is a mistake of the configuration, and told as one.</summary>
    [Theory]
    [InlineData("Default", "give the machine a role")]
    [InlineData("Environment", "AWS_ACCESS_KEY_ID")]
    [InlineData("WebIdentity", "AWS_WEB_IDENTITY_TOKEN_FILE")]
    [InlineData("Profile", "profile 'default' was not found")]
    public async Task AnySource_NoCredentials_IsAConfigurationError(string source, string remedy)
    {
        Dictionary<string, string> nothing = new() { ["AWS_SHARED_CREDENTIALS_FILE"] = "/dev/null", ["AWS_CONFIG_FILE"] = "/dev/null" };
        var ended = await Assert.ThrowsAsync<InvalidOperationException>(() => StartAsync(source, nothing));
        Assert.Contains("Backend default cannot be used", ended.Message, StringComparison.Ordinal);
        Assert.Contains(remedy, ended.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("   at ", ended.Message, StringComparison.Ordinal);
    }

    private async Task AssertSignedAsync(ProxyProcess proxy, string accessKey, string secretKey, string? token)
    {
        using var s3 = new S3Caller(proxy.Endpoint);
        (await s3.PutAsync("/a-bucket/forwarded", [1, 2, 3])).Ok();
        _backend.Store.TryPut("a-bucket", "read", FaultyObject.Of([4, 5]));
        Assert.Equal([4, 5], (await s3.GetAsync("/a-bucket/read")).Ok().Body);
        foreach (var operation in (string[])["PutObject", "GetObject"])
        {
            var request = _backend.Requests.Last(arrived => arrived.Operation == operation);
            request.AssertSigned(accessKey, secretKey, "us-east-1", token);
            Assert.Equal(token, request.Header("x-amz-security-token"));
        }
    }

    private static Dictionary<string, string> WebIdentity(string tokenFile, WebApplication sts) => WebIdentity(tokenFile, new Uri(sts.Urls.First()));

    private static Dictionary<string, string> WebIdentity(string tokenFile, Uri sts) => new()
    {
        ["AWS_WEB_IDENTITY_TOKEN_FILE"] = tokenFile,
        ["AWS_ROLE_ARN"] = "arn:aws:iam::1:role/r",
        ["AWS_REGION"] = "us-east-1",
        ["AWS_ENDPOINT_URL_STS"] = sts.ToString(),
    };

    /// <returns>Null where the role's keys are asked for.</returns>
    private static string? MetadataOf(HttpContext context)
    {
        var path = context.Request.Path.Value!;
        if (path.EndsWith("/api/token", StringComparison.Ordinal))
        {
            context.Response.Headers["x-aws-ec2-metadata-token-ttl-seconds"] = "21600";
            return "token";
        }

        return path.TrimEnd('/').EndsWith("/security-credentials", StringComparison.Ordinal) ? "a-role" : null;
    }

    private static string MetadataKeys(int n, DateTimeOffset until) => $$"""
        {"Code":"Success","LastUpdated":"2026-01-01T00:00:00Z","Type":"AWS-HMAC","AccessKeyId":"imds-{{n}}","SecretAccessKey":"secret-{{n}}","Token":"token-{{n}}",
        "Expiration":"{{until.ToString("yyyy-MM-ddTHH:mm:ssZ", CultureInfo.InvariantCulture)}}"}
        """;

    private static string StsAnswer(string keys, DateTimeOffset expires) => $"""
        <AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleWithWebIdentityResult>
        <Credentials><SessionToken>{keys}-token</SessionToken><SecretAccessKey>{keys}-secret</SecretAccessKey>
        <Expiration>{expires.ToString("yyyy-MM-ddTHH:mm:ssZ", CultureInfo.InvariantCulture)}</Expiration><AccessKeyId>{keys}-key</AccessKeyId></Credentials>
        <AssumedRoleUser><Arn>arn:aws:sts::1:assumed-role/r/s</Arn><AssumedRoleId>A:s</AssumedRoleId></AssumedRoleUser>
        </AssumeRoleWithWebIdentityResult><ResponseMetadata><RequestId>1</RequestId></ResponseMetadata></AssumeRoleWithWebIdentityResponse>
        """;

    private Task<ProxyProcess> StartAsync(string source, Dictionary<string, string> environment, params string[] more)
        => StartAsync(source, environment, instanceMetadata: source == "Imds", more);

    private Task<ProxyProcess> StartAsync(string source, Dictionary<string, string> environment, bool instanceMetadata, params string[] more)
    {
        environment["AWS_EC2_METADATA_DISABLED"] = instanceMetadata ? "false" : "true";
        return ProxyProcess.StartAsync(["--set", $"Backend:CredentialSource={source}", "--set", $"Backend:Endpoints:0={_backend.Url}", .. more], backend: null, environment);
    }

    private static Task<WebApplication> ServeAsync(Func<HttpContext, string> answer, TimeSpan headFirst = default, int port = 0)
        => ServeAsync(context => Task.FromResult(answer(context)), headFirst, port);

    private static async Task<WebApplication> ServeAsync(Func<HttpContext, Task<string>> answer, TimeSpan headFirst = default, int port = 0)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, port));
        var app = builder.Build();
        app.Run(async context =>
        {
            var text = await answer(context);
            if (!context.Response.HasStarted)
            {
                context.Response.ContentType = text.StartsWith('<') ? "text/xml" : "application/json";
            }

            if (headFirst > TimeSpan.Zero)
            {
                await context.Response.StartAsync();
                await Task.Delay(headFirst);
            }

            await context.Response.WriteAsync(text);
        });
        await app.StartAsync();
        return app;
    }
}
