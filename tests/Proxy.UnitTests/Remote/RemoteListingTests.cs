using System.Collections.Concurrent;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Proxy.Backends.Remote;
using Proxy.S3.Objects;

namespace Proxy.UnitTests.Remote;

public sealed class RemoteListingTests
{
    private readonly ConcurrentQueue<string> _asked = new();

    /// <summary>A page may end before a name was found, where much has been deleted: only its token says how far the store has come.</summary>
    [Fact]
    public async Task List_EmptyPagesThatGoOn_AreFollowedByTheirToken()
    {
        var page = await ListAsync(static token => token switch
        {
            "" => Empty("t1"),
            "t1" => Empty("t2"),
            _ => OneName,
        });

        Assert.Equal("k1", Assert.Single(page.Objects).Key);
        Assert.Equal((false, null), (page.IsTruncated, page.NextAfter));
        Assert.Equal(["", "t1", "t2"], _asked);
    }

    /// <summary>"Not so fast" is waited out, however many pages it was told that before it.</summary>
    [Fact]
    public async Task List_LaterPageIsThrottled_IsWaitedOut()
    {
        var refused = 0;
        var page = await ListAsync(token => token.Length == 0 ? Empty("t1") : ++refused <= 6 ? null : OneName);

        Assert.Equal("k1", Assert.Single(page.Objects).Key);
        Assert.Equal(7, refused);
    }

    /// <summary>A store that does not get on is not asked without end.</summary>
    [Fact]
    public async Task List_SameTokenAgain_IsNotFollowed()
    {
        _ = await ListAsync(static _ => Empty("t1"));
        Assert.Equal(["", "t1"], _asked);
    }

    private const string OneName = "<IsTruncated>false</IsTruncated><KeyCount>1</KeyCount><Contents><Key>k1</Key><Size>1</Size><ETag>\"e\"</ETag><LastModified>2026-01-02T03:04:05.000Z</LastModified></Contents>";

    private static string Empty(string next) => $"<IsTruncated>true</IsTruncated><KeyCount>0</KeyCount><NextContinuationToken>{next}</NextContinuationToken>";

    /// <param name="pageOf">By continuation token; null is 503.</param>
    private async Task<ListPage> ListAsync(Func<string, string?> pageOf)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        await using var store = builder.Build();
        store.Urls.Add("http://127.0.0.1:0");
        store.Run(async context =>
        {
            var token = context.Request.Query["continuation-token"].ToString();
            _asked.Enqueue(token);
            var page = pageOf(token);
            context.Response.StatusCode = page is null ? 503 : 200;
            context.Response.ContentType = "application/xml";
            await context.Response.WriteAsync(page is null
                ? "<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"
                : $"<ListBucketResult><Name>b</Name><EncodingType>url</EncodingType>{page}</ListBucketResult>");
        });
        await store.StartAsync();
        var options = new RemoteOptions
        {
            Endpoints = [store.Urls.Single()],
            AccessKey = "key",
            SecretKey = "secret",
            ResponseTimeout = TimeSpan.FromMinutes(1),
            ReadTimeout = TimeSpan.FromMinutes(1),
        };
        await using var backend = new RemoteBackend("test", options, TimeProvider.System, NullLoggerFactory.Instance);
        return await backend.Source.ListObjectsAsync("b", new ListQuery { After = "k0" }, default);
    }
}
