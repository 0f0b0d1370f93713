using System.Net;
using Proxy.FunctionalTests.Faults;
using Proxy.FunctionalTests.Hosting;
using Proxy.FunctionalTests.Operations.Wire;
using Proxy.FunctionalTests.Telemetry;

namespace Proxy.FunctionalTests.Backends;

/// <summary>An edited configuration file is in use without a restart, or refused whole.</summary>
public sealed class ReloadTests : IAsyncLifetime
{
    private const string Applied = "Configuration reloaded; in use now";

    private static readonly byte[] Bytes = SeveralBackendsTests.MakeBytes(300_000);

    private SeveralBackends _several = null!;

    private S3Caller S3 => _several.S3;

    public async ValueTask InitializeAsync()
    {
        _several = await SeveralBackends.StartAsync(several => new { Backend = SeveralBackends.Remote(several.First) });
        foreach (var backend in (FaultyBackend[])[_several.First, _several.Second])
        {
            backend.Store.CreateBucket("data");
            backend.Store.CreateBucket("other");
        }
    }

    public ValueTask DisposeAsync() => _several.DisposeAsync();

    [Fact]
    public async Task AddedBackendAndRoute_AreUsed_AndOldCacheIsForgotten()
    {
        const string Key = "/data/files/insert_log/1/2/3/100/4";
        (await S3.PutAsync(Key, Bytes)).Ok();
        Assert.Equal(Bytes, (await S3.GetAsync(Key)).Ok().Body);

        _several.Write(new
        {
            Backend = SeveralBackends.Remote(_several.First),
            Backends = new Dictionary<string, object> { ["two"] = SeveralBackends.Remote(_several.Second) },
            Routes = new object[] { new { Bucket = "data", Backend = "two" } },
        });
        await _several.LoggedAsync(Applied);

        Assert.Equal("NoSuchKey", (await S3.GetAsync(Key)).Code);
        (await S3.PutAsync(Key, [1, 2, 3])).Ok();
        Assert.Equal([1, 2, 3], _several.Second.Store.Find("data", Key["/data/".Length..])!.Bytes);
        Assert.Equal([1, 2, 3], (await S3.GetAsync(Key)).Ok().Body);
        (await S3.PutAsync("/other/k", Bytes)).Ok();
        Assert.NotNull(_several.First.Store.Find("other", "k"));
    }

    /// <summary>The old store keeps its other buckets, and is slow: what one of its readers has it asked for is told after the route has long changed.</summary>
    [Fact]
    public async Task AddedRoute_WhileAReadWaitsForTheOldStore_WhatThatBringsIsForgotten()
    {
        const string First = "files/index_files/1/2/3/4/HNSW_0";
        const string Sibling = "files/index_files/1/2/3/4/HNSW_1";
        foreach (var (backend, content) in ((FaultyBackend, byte[])[])[(_several.First, [1]), (_several.Second, [2])])
        {
            backend.Store.TryPut("data", First, FaultyObject.Of(content));
            backend.Store.TryPut("data", Sibling, FaultyObject.Of(content));
        }

        var answer = new TaskCompletionSource();
        _several.First.Arrived = _ => answer.Task;
        var reading = S3.GetAsync("/data/" + First);
        await AskedAsync();

        _several.Write(new
        {
            Backend = SeveralBackends.Remote(_several.First),
            Backends = new Dictionary<string, object> { ["two"] = SeveralBackends.Remote(_several.Second) },
            Routes = new object[] { new { Bucket = "data", Backend = "two" } },
        });
        _several.Proxy.HangUp(); // at once: the reader does not wait for long
        await _several.LoggedAsync(Applied);
        await Task.Delay(TimeSpan.FromSeconds(5.5));
        answer.SetResult();
        Assert.Equal([1], (await reading).Ok().Body);
        await Patience.UntilAsync(
            () => _several.First.Requests.Any(static request => request.RawTarget.EndsWith(Sibling, StringComparison.Ordinal)), () => $"the old store is not asked for the sibling\n{_several.Proxy.LogTail}");

        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(30));
        while (!(await S3.GetAsync("/data/" + Sibling)).Body.AsSpan().SequenceEqual((byte[])[2]))
        {
            Assert.False(patience.IsCancellationRequested, "What the old store told is still served.");
            await Task.Delay(100);
        }
    }

    [Fact]
    public async Task DrainedBackend_EndsItsRequestsAndIsClosed()
    {
        _several.First.Store.TryPut("data", "slow", FaultyObject.Of(Bytes));
        _several.First.Break("GetObject", new Fault { BytesPerSecond = 100_000 });
        var slow = S3.GetAsync("/data/slow");
        await AskedAsync();

        _several.Write(new { Backend = SeveralBackends.Remote(_several.Second) });
        await _several.LoggedAsync(Applied);
        Assert.Equal(Bytes, (await slow).Ok().Body);
        Assert.Equal("NoSuchKey", (await S3.GetAsync("/data/slow")).Code);
        await _several.LoggedAsync("is idle and closed");
        Assert.Equal("NoSuchKey", (await S3.GetAsync("/data/slow")).Code);
    }

    /// <summary>An alert on a breaker that is open fired until the restart, and what the others refused was not counted.</summary>
    [Fact]
    public async Task BackendThatIsGone_HasNoGauges_AndCountersGoOn()
    {
        object Model(params string[] names) => new
        {
            Backend = SeveralBackends.Remote(_several.First),
            Backends = names.ToDictionary(name => name, _ => (object)new { Endpoints = new[] { "http://127.0.0.1:1" }, AccessKey = "k", SecretKey = "s", ReadAttempts = 1, Health = new { FailuresToOpen = 1, OpenFor = "01:00:00" } }),
            Routes = names.Select(name => new { Bucket = name, Backend = name }),
        };
        async Task<double> RefusedAsync(string name, int reads)
        {
            for (var i = 0; i < reads; i++)
            {
                (await S3.GetAsync($"/{name}/k{i}")).Is(HttpStatusCode.ServiceUnavailable);
            }

            return new MetricsPage(await _several.Proxy.ReadMetricsAsync()).Sum("s3_proxy_sheds_total", "reason=\"backend_unreachable\"");
        }

        _several.Write(Model("dead"));
        await _several.LoggedAsync(Applied);
        var first = await RefusedAsync("dead", 6);
        Assert.True(first >= 5);
        var page = new MetricsPage(await _several.Proxy.ReadMetricsAsync());
        Assert.Equal(1, page.Sum("s3_proxy_backend_breakers_open", "backend=\"dead\""));
        var asked = page.Sum("s3_proxy_backend_requests_total", "backend=\"dead\"");
        Assert.True(asked > 0);

        _several.Write(Model("other"));
        await _several.LoggedAsync(Applied, times: 2);
        var text = await _several.Proxy.ReadMetricsAsync();
        foreach (var gauge in (string[])["requests_in_flight", "read_limit", "reads_in_flight", "breakers_open", "endpoints"])
        {
            Assert.DoesNotContain($"s3_proxy_backend_{gauge}{{backend=\"dead\"}}", text, StringComparison.Ordinal);
            Assert.Contains($"s3_proxy_backend_{gauge}{{backend=\"other\"}}", text, StringComparison.Ordinal);
        }

        var second = await RefusedAsync("other", 3);
        Assert.True(second > first, $"{second} after {first}");

        _several.Write(Model("dead"));
        await _several.LoggedAsync(Applied, times: 3);
        Assert.True(await RefusedAsync("dead", 3) > second);
        Assert.True(new MetricsPage(await _several.Proxy.ReadMetricsAsync()).Sum("s3_proxy_backend_requests_total", "backend=\"dead\"") > asked);
    }

    /// <summary>Its body is slower than the backend's closing: the client asks again, and is routed anew.</summary>
    [Fact]
    public async Task RequestOfABackendThatWasClosed_IsSlowDown()
    {
        _several.First.Store.TryPut("data", "k", FaultyObject.Of(Bytes));
        _several.Second.Store.TryPut("data", "k", FaultyObject.Of(Bytes));
        await using var wire = new S3Wire(_several.Proxy.Endpoint, "data");
        var delete = new WireRequest("POST", "/data?delete") { Body = "<Delete><Object><Key>k</Key></Object></Delete>"u8.ToArray() };
        var (head, body) = wire.Encode(delete);
        await using var connection = await WireConnection.OpenAsync(_several.Proxy.Endpoint);
        await connection.WriteAsync((byte[])[.. head, .. body[..10]]);

        _several.Write(new { Backend = SeveralBackends.Remote(_several.Second) });
        await _several.LoggedAsync("is idle and closed");
        await connection.WriteAsync(body.AsMemory(10));
        (await connection.ReadAnswerAsync()).Expect(503, "SlowDown");
        Assert.NotNull(_several.First.Store.Find("data", "k"));
        Assert.NotNull(_several.Second.Store.Find("data", "k"));

        (await wire.SendAsync(delete)).Expect(200);
        Assert.NotNull(_several.First.Store.Find("data", "k"));
        Assert.Null(_several.Second.Store.Find("data", "k"));
    }

    [Theory]
    [InlineData("{ \"Backend\": { \"Endpoints\": [\"not a url\"] } }")]
    [InlineData("{ \"Routes\": [ { \"Bucket\": \"data\", \"Backend\": \"nowhere\" } ] }")]
    [InlineData("{ \"Cahce\": {} }")]
    [InlineData("{ \"Routes\": 5 }")]
    [InlineData("{ \"Backend\": {")]
    [InlineData("{}")]
    [InlineData("{ \"Backend\": { \"Endpoints\": [] } }")]
    [InlineData("{ \"Routes\": [ { \"Bucket\": \"data\", \"Backend\": \"local\" } ] }")]
    public async Task InvalidEdit_IsRefusedWhole(string text)
    {
        (await S3.PutAsync("/data/k", Bytes)).Ok();
        _several.WriteText(text);
        await _several.LoggedAsync("is refused as a whole");
        Assert.Equal(Bytes, (await S3.GetAsync("/data/k")).Ok().Body);
        (await S3.PutAsync("/data/k2", Bytes)).Ok();
        Assert.NotNull(_several.First.Store.Find("data", "k2"));

        _several.Write(new { Backend = SeveralBackends.Remote(_several.Second) });
        await _several.LoggedAsync(Applied);
        Assert.Equal("NoSuchKey", (await S3.GetAsync("/data/k")).Code);
    }

    /// <summary>The entry that it stands in was left out, and the log said "reloaded".</summary>
    [Theory]
    [InlineData("\"S3\": { \"Credentials\": [ { \"AccessKey\": \"milvus1234\", \"SecretKey\": \"secret1234\", \"ReadOnly\": \"yes\" } ] }", "S3:Credentials:0:ReadOnly: 'yes'")]
    [InlineData("\"Cache\": { \"Rules\": [ { \"Pattern\": \"x/**\", \"Class\": \"Immutabel\" } ] }", "Cache:Rules:0:Class: 'Immutabel'")]
    [InlineData("\"Routes\": [ null ]", "Routes:0: there is nothing in it")]
    public async Task EditWithAValueThatCannotBeConverted_IsRefusedWhole(string section, string mistake)
    {
        var backend = $"{{ \"Endpoints\": [ \"{_several.Second.Url}\" ], \"AccessKey\": \"k\", \"SecretKey\": \"s\" }}";
        _several.WriteText($"{{ \"Backend\": {backend}, {section} }}");
        await _several.LoggedAsync("is refused as a whole");
        await _several.LoggedAsync(mistake);
        (await S3.PutAsync("/data/k", Bytes)).Ok();
        Assert.NotNull(_several.First.Store.Find("data", "k"));
        Assert.DoesNotContain(Applied, _several.Proxy.Log, StringComparison.Ordinal);
    }

    [Fact]
    public async Task RemoteToLocal_OnlyByARouteThatSaysSo()
    {
        (await S3.PutAsync("/data/k", Bytes)).Ok();
        _several.WriteText("{}");
        await _several.LoggedAsync("write the route { \"Bucket\": \"*\", \"Backend\": \"local\" }");
        Assert.Equal(Bytes, (await S3.GetAsync("/data/k")).Ok().Body);

        _several.Write(new { Routes = new object[] { new { Bucket = "*", Backend = "local" } } });
        await _several.LoggedAsync(Applied);
        Assert.Equal("NoSuchBucket", (await S3.GetAsync("/data/k")).Code);
    }

    /// <summary>It named the remote backend when it was written, and would name the local store now.</summary>
    [Fact]
    public async Task RemoteToLocal_ByARouteToTheDefault_IsRefused()
    {
        (await S3.PutAsync("/data/k", Bytes)).Ok();
        _several.WriteText("""{ "Routes": [{ "Bucket": "*", "Backend": "default" }] }""");
        await _several.LoggedAsync("Backend:Endpoints: none is named any more");
        (await S3.PutAsync("/data/k2", Bytes)).Ok();
        Assert.NotNull(_several.First.Store.Find("data", "k2"));
    }

    [Fact]
    public async Task RouteToARemoteBackend_GoneWhereTheRestIsLocal_IsRefused()
    {
        await using var several = await SeveralBackends.StartAsync(several => new
        {
            Backends = new Dictionary<string, object> { ["two"] = SeveralBackends.Remote(several.Second) },
            Routes = new object[] { new { Bucket = "data*", Backend = "two" } },
        });
        several.Second.Store.CreateBucket("data");
        (await several.S3.PutAsync("/data/k", Bytes)).Ok();
        several.WriteText("{}");
        await several.LoggedAsync("Routes: none names data*/ any more");
        Assert.Equal(Bytes, (await several.S3.GetAsync("/data/k")).Ok().Body);
        (await several.S3.PutAsync("/data/k2", Bytes)).Ok();
        Assert.NotNull(several.Second.Store.Find("data", "k2"));
    }

    [Fact]
    public async Task Credentials_Gone_LetNobodyInByDefault()
    {
        _several.Write(new
        {
            Backend = SeveralBackends.Remote(_several.First),
            S3 = new { Credentials = new object[] { new { AccessKey = "milvus", SecretKey = "new-secret-key" } } },
        });
        await _several.LoggedAsync(Applied);
        _several.Write(new { Backend = SeveralBackends.Remote(_several.First) });
        await _several.LoggedAsync("S3:Credentials: nobody is named any more");
        (await S3.PutAsync("/data/k", Bytes)).Is(HttpStatusCode.Forbidden);
        using var milvus = new S3Caller(_several.Proxy.Endpoint, "milvus", "new-secret-key");
        (await milvus.PutAsync("/data/k", Bytes)).Ok();
    }

    [Fact]
    public async Task HangUp_ReadsTheFileAgain_AndEndsNothing()
    {
        _several.Proxy.HangUp();
        await _several.LoggedAsync("read again: nothing in it has changed");
        (await S3.PutAsync("/data/k", Bytes)).Ok();

        _several.WriteText("{ \"Routes\": 5 }");
        _several.Proxy.HangUp();
        await _several.LoggedAsync("is refused as a whole");
        Assert.Equal(Bytes, (await S3.GetAsync("/data/k")).Ok().Body);

        _several.Write(new { Backend = SeveralBackends.Remote(_several.Second) });
        _several.Proxy.HangUp();
        await _several.LoggedAsync(Applied);
        Assert.Equal("NoSuchKey", (await S3.GetAsync("/data/k")).Code);
    }

    /// <summary>Between the moment the file was read and the first look at it.</summary>
    [Fact]
    public async Task EditWhileTheProxyStarts_IsTaken()
    {
        var folder = Directory.CreateTempSubdirectory("proxy-edit-").FullName;
        try
        {
            var (file, store) = (Path.Combine(folder, "proxy.json"), Path.Combine(folder, "store"));
            await File.WriteAllTextAsync(file, "{}");
            var starting = ProxyProcess.StartAsync(["--config", file, "--set", $"Local:Directory={store}"]);
            while (!Directory.Exists(store) && !starting.IsCompleted)
            {
                await Task.Yield();
            }

            await File.WriteAllTextAsync(file, """{ "Cache": { "Rules": [ { "Pattern": "x/**", "Class": "Bypass" } ] } }""");
            await using var proxy = await starting;
            using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(30));
            while (!proxy.Log.Contains(Applied, StringComparison.Ordinal))
            {
                Assert.False(patience.IsCancellationRequested, $"the edit was not taken:\n{proxy.LogTail}");
                await Task.Delay(50);
            }
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    [Fact]
    public async Task FileThatDisappears_IsToldOnce_AndTheOldOneStaysInUse()
    {
        File.Delete(_several.File);
        await _several.LoggedAsync("is gone or cannot be read");
        _several.Proxy.HangUp();
        await _several.LoggedAsync("is refused as a whole");
        (await S3.PutAsync("/data/k", Bytes)).Ok();
        Assert.NotNull(_several.First.Store.Find("data", "k"));

        _several.Write(new { Backend = SeveralBackends.Remote(_several.Second) });
        await _several.LoggedAsync(Applied);
        Assert.Equal("NoSuchKey", (await S3.GetAsync("/data/k")).Code);
        Assert.Equal(2, _several.Proxy.Log.Split("is gone or cannot be read").Length);
        File.Delete(_several.File);
        await _several.LoggedAsync("is gone or cannot be read", times: 2);
    }

    [Fact]
    public async Task Credentials_OfClientsAndOfTheBackend_Rotate()
    {
        (await S3.PutAsync("/data/k", Bytes)).Ok();
        _several.First.Requests.Last().AssertSigned("backend-key", "backend-secret", "us-east-1");
        _several.Write(new
        {
            Backend = SeveralBackends.Remote(_several.First, secret: "rotated-secret"),
            S3 = new { Credentials = new object[] { new { AccessKey = "milvus", SecretKey = "new-secret-key" } } },
        });
        await _several.LoggedAsync(Applied);

        (await S3.PutAsync("/data/k", Bytes)).Is(HttpStatusCode.Forbidden);
        using var milvus = new S3Caller(_several.Proxy.Endpoint, "milvus", "new-secret-key");
        var before = _several.First.Count("GetObject");
        Assert.Equal(Bytes, (await milvus.GetAsync("/data/k")).Ok().Body);
        Assert.Equal(before, _several.First.Count("GetObject")); // the same store: what was cached of it still holds
        (await milvus.PutAsync("/data/k", Bytes)).Ok();
        _several.First.Requests.Last(request => request.Method == "PUT").AssertSigned("backend-key", "rotated-secret", "us-east-1");
    }

    [Fact]
    public async Task CacheRules_AreReplaced_AndPortsNeedARestart()
    {
        (await S3.PutAsync("/data/x/k", Bytes)).Ok();
        _several.Write(new
        {
            Backend = SeveralBackends.Remote(_several.First),
            Cache = new { Rules = new object[] { new { Pattern = "x/**", Class = "Bypass" } } },
            S3 = new { MaxConnections = 77 },
        });
        await _several.LoggedAsync(Applied);
        await _several.LoggedAsync("only after a restart: S3:MaxConnections");
        Assert.Equal("BYPASS", (await S3.GetAsync("/data/x/k")).Ok().Header("X-Cache"));
    }

    private Task AskedAsync() => Patience.UntilAsync(() => _several.First.Count("GetObject") > 0, () => $"the first store is not asked for an object\n{_several.Proxy.LogTail}");
}
