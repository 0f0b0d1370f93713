using Microsoft.Extensions.Logging.Abstractions;
using Proxy.Backends.Remote;
using Proxy.Server.Hosting;
using Proxy.Server.Routing;

namespace Proxy.UnitTests.Remote;

/// <summary>Which bucket and prefix lives where, and which configurations cannot be meant.</summary>
public sealed class RoutingModelTests : IAsyncLifetime
{
    private readonly RemoteS3Backend _main = Remote("default", "http://main:9000");
    private readonly RemoteS3Backend _other = Remote("other", "http://other:9000", ("mapped", "mapped-there"));

    public ValueTask InitializeAsync() => default;

    public async ValueTask DisposeAsync()
    {
        await _main.DisposeAsync();
        await _other.DisposeAsync();
    }

    [Fact]
    public void Resolve_FirstMatchWins_AndTheRestIsTheDefault()
    {
        var model = Model(Route("a", "other", prefix: "x/"), Route("a", "default"), Route("b-*", "other"));
        Assert.True(model.Resolve("a", "x/1").IsSameStore(_other));
        Assert.True(model.Resolve("a", "y").IsSameStore(_main));
        Assert.True(model.Resolve("b-7", "").IsSameStore(_other));
        Assert.True(model.Resolve("b", "").IsSameStore(_main));
        Assert.True(model.HasPrefixRoutes);
        Assert.False(model.IsSingle);
    }

    /// <summary>A list of buckets asked them all, and was 503 for one that could not have added to it.</summary>
    [Fact]
    public void OfBuckets_AreThoseThatANameLeadsTo()
    {
        Assert.Equal([_main], Model().OfBuckets);
        Assert.Equal([_main], Model(Route("a", "other", prefix: "x/")).OfBuckets);
        Assert.Equal([_main, _other], Model(Route("a", "other")).OfBuckets);
        Assert.Equal([_main, _other], Model(Route("client", "other", backendBucket: "there")).OfBuckets);
        Assert.Equal([_other], Model(Route("*", "other")).OfBuckets);
        Assert.Equal([_main], Model(Route("a-*", "default"), Route("a-b*", "other"), Route("a-c", "other")).OfBuckets);
        Assert.Equal([_main, _other], Model(Route("a-b", "default"), Route("a-*", "other")).OfBuckets);
    }

    [Fact]
    public void RenamedBucket_HasOneName()
    {
        var model = Model(Route("client", "other", backendBucket: "there"), Route("there", "other"), Route("mapped", "other"), Route("mapped-there", "other"));
        Assert.Equal("there", model.Resolve("client", "").Physical("client"));
        Assert.True(model.IsHidden(model.Resolve("there", ""), "there"));
        Assert.True(model.IsHidden(model.Resolve("mapped-there", ""), "mapped-there"));
        Assert.False(model.IsHidden(model.Resolve("client", ""), "client"));
        Assert.False(model.IsHidden(_main, "there")); // another store's bucket of that name
        Assert.Equal(["client"], model.ClientNames(_other, "there"));
        Assert.Equal(["mapped"], model.ClientNames(_other, "mapped-there"));
    }

    [Theory]
    [InlineData("a", "nowhere", null, "there is no backend 'nowhere'")]
    [InlineData("a-*", "other", "b", "is many buckets")]
    [InlineData("a", "other", "mapped-there", "would both be bucket 'mapped-there'")]
    public void Route_ThatCannotBeMeant_IsRefused(string bucket, string backend, string? backendBucket, string why)
        => Assert.Contains(why, Assert.Throws<ConfigurationException>(() => Model(Route("mapped", "other"), Route(bucket, backend, backendBucket: backendBucket))).Message, StringComparison.Ordinal);

    [Fact]
    public async Task HoldsOtherThan_TellsAnotherStoreFromAnotherGateway()
    {
        var before = Model(Route("a", "other"));
        await using var gateway = Remote("default", "http://main:9000", "http://main-2:9000");
        await using var elsewhere = Remote("default", "http://elsewhere:9000");
        Assert.False(Model(gateway, Route("a", "other")).HoldsOtherThan(before, "b", "k"));
        Assert.True(Model(elsewhere, Route("a", "other")).HoldsOtherThan(before, "b", "k"));
        Assert.False(Model(elsewhere, Route("a", "other")).HoldsOtherThan(before, "a", "k"));
        Assert.True(Model(Route("a", "other", backendBucket: "renamed")).HoldsOtherThan(before, "a", "k"));
        Assert.True(Model().HoldsOtherThan(before, "a", "k"));
    }

    private static RemoteS3Backend Remote(string name, params string[] urls) => Remote(name, urls, []);

    private static RemoteS3Backend Remote(string name, string url, (string Client, string There) map) => Remote(name, [url], new() { [map.Client] = map.There });

    private static RemoteS3Backend Remote(string name, string[] urls, Dictionary<string, string> map)
        => new(new RemoteBackend(name, new RemoteOptions { Endpoints = urls, AccessKey = "k", SecretKey = "s", BucketMap = map }, TimeProvider.System, NullLoggerFactory.Instance));

    private static BackendRouteOptions Route(string bucket, string backend, string prefix = "", string? backendBucket = null)
        => new() { Bucket = bucket, Backend = backend, Prefix = prefix, BackendBucket = backendBucket };

    private RoutingModel Model(params BackendRouteOptions[] routes) => Model(_main, routes);

    private RoutingModel Model(Backend standard, params BackendRouteOptions[] routes)
        => new(standard, new Dictionary<string, Backend>(StringComparer.OrdinalIgnoreCase) { ["other"] = _other }, routes);
}
