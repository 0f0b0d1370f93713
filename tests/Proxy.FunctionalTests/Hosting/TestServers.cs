namespace Proxy.FunctionalTests.Hosting;

/// <summary>The servers most functional tests share, each started when first asked for and once per run.</summary>
/// <remarks>
/// Tests that stop, kill or configure a proxy start their own <see cref="ProxyProcess"/>. Tests of the collection
/// <see cref="Collection"/> run one after the other and use buckets of their own.
/// </remarks>
public sealed class TestServers : IAsyncLifetime
{
    public const string Collection = "servers";

    // Plain fields: the collection's tests, the only callers, run one after the other. A start that failed is not tried again.
    private Task<ProxyProcess>? _local;
    private Task<ProxyProcess>? _far;
    private Task<ProxyProcess>? _chained;
    private Task<ProxyProcess>? _beforeCeph;
    private Task<CephRgw>? _ceph;

    /// <summary>A proxy over its own local store.</summary>
    public Task<ProxyProcess> LocalAsync() => _local ??= ProxyProcess.StartAsync();

    /// <summary>A proxy in front of another of our servers.</summary>
    public Task<ProxyProcess> ChainedAsync() => _chained ??= StartChainedAsync();

    /// <summary>The server behind <see cref="ChainedAsync"/>.</summary>
    public Task<ProxyProcess> FarAsync() => _far ??= ProxyProcess.StartAsync();

    /// <summary>A Ceph object gateway; the calling test is skipped when it cannot be had.</summary>
    public async Task<CephRgw> CephAsync()
    {
        if (_ceph is null && await CephRgw.WhyMissingAsync() is { } reason)
        {
            Assert.Skip(reason);
        }

        return await (_ceph ??= CephRgw.StartAsync());
    }

    /// <summary>A proxy in front of <see cref="CephAsync"/>.</summary>
    public async Task<ProxyProcess> BeforeCephAsync()
    {
        var ceph = await CephAsync();
        return await (_beforeCeph ??= ProxyProcess.StartAsync(backend: ceph.Endpoint));
    }

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public async ValueTask DisposeAsync()
    {
        foreach (var proxy in (Task<ProxyProcess>?[])[_chained, _beforeCeph, _local, _far])
        {
            if (proxy is { IsCompletedSuccessfully: true })
            {
                await (await proxy).DisposeAsync();
            }
        }

        if (_ceph is { IsCompletedSuccessfully: true })
        {
            await (await _ceph).DisposeAsync();
        }
    }

    private async Task<ProxyProcess> StartChainedAsync()
    {
        var far = await FarAsync();
        return await ProxyProcess.StartAsync(backend: far.Endpoint);
    }
}

[CollectionDefinition(TestServers.Collection)]
public sealed class TestServersCollection : ICollectionFixture<TestServers>;
