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
    /// <summary>A page may end before a name was found, where much has been deleted: only its token says how far the store has come.</summary>
    [Fact]
    public async Task List_EmptyPagesThatGoOn_AreFollowedByTheirToken()
    {
        var asked = new ConcurrentQueue<string>();
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        await using var store = builder.Build();
        store.Urls.Add("http://127.0.0.1:0");
        store.Run(async context =>
        {
            var token = context.Request.Query["continuation-token"].ToString();
            asked.Enqueue(token);
            context.Response.ContentType = "application/xml";
            await context.Response.WriteAsync($"<ListBucketResult><Name>b</Name><EncodingType>url</EncodingType>{Page(token)}</ListBucketResult>");
        });
        await store.StartAsync();
        var options = new RemoteOptions { Endpoints = [store.Urls.Single()], AccessKey = "key", SecretKey = "secret", ResponseTimeout = TimeSpan.FromMinutes(1), ReadTimeout = TimeSpan.FromMinutes(1) };
        await using var backend = new RemoteBackend("test", options, TimeProvider.System, NullLoggerFactory.Instance);

        var page = await backend.Source.ListObjectsAsync("b", new ListQuery { After = "k0" }, default);

        Assert.Equal("k1", Assert.Single(page.Objects).Key);
        Assert.Equal((false, null), (page.IsTruncated, page.NextAfter));
        Assert.Equal(["", "t1", "t2"], asked);

        static string Page(string token) => token switch
        {
            "" => "<IsTruncated>true</IsTruncated><KeyCount>0</KeyCount><NextContinuationToken>t1</NextContinuationToken>",
            "t1" => "<IsTruncated>true</IsTruncated><KeyCount>0</KeyCount><NextContinuationToken>t2</NextContinuationToken>",
            _ => "<IsTruncated>false</IsTruncated><KeyCount>1</KeyCount><Contents><Key>k1</Key><Size>1</Size><ETag>\"e\"</ETag><LastModified>2026-01-02T03:04:05.000Z</LastModified></Contents>",
        };
    }
}
