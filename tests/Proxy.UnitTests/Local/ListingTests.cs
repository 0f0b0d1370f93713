using System.Text;
using Proxy.S3.Errors;
using Proxy.S3.Objects;
using static Proxy.UnitTests.Local.StoreFixture;

namespace Proxy.UnitTests.Local;

public sealed class ListingTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    public async Task List_RandomOperations_AgreesWithASortedSet(int seed)
    {
        await using var fixture = await CreateAsync();
        var random = new Random(seed);
        var model = new SortedSet<string>(Comparer<string>.Create(static (a, b) => Utf8(a).AsSpan().SequenceCompareTo(Utf8(b))));
        for (var step = 0; step < 400; step++)
        {
            var key = Name(random, 6);
            if (key.Length > 0 && random.Next(4) > 0)
            {
                model.Add(key);
                await fixture.PutAsync(key, "");
            }
            else if (key.Length > 0)
            {
                model.Remove(key);
                await fixture.Store.DeleteObjectAsync(Id(key), null, default);
            }

            var query = new ListQuery
            {
                Prefix = random.Next(2) == 0 ? "" : Name(random, 2),
                Delimiter = random.Next(3) switch { 0 => null, 1 => "/", _ => Name(random, 2) },
                After = random.Next(2) == 0 ? null : Name(random, 4),
                MaxKeys = random.Next(12),
            };
            var (objects, prefixes, truncated, next) = Expected(model, query);
            var page = await fixture.Store.ListObjectsAsync(Bucket, query, default);
            Assert.Equal(objects, page.Objects.Select(static listed => listed.Key));
            Assert.Equal(prefixes, page.CommonPrefixes);
            Assert.Equal(truncated, page.IsTruncated);
            Assert.Equal(next, page.NextAfter);
        }
    }

    [Fact]
    public async Task List_PageByPage_GivesEveryNameOnce()
    {
        await using var fixture = await CreateAsync();
        var keys = Enumerable.Range(0, 300).Select(static i => $"{i % 7}/{i % 3}/{i:d3}").ToArray();
        await Task.WhenAll(keys.Select(key => fixture.PutAsync(key, "").AsTask()));
        var seen = new List<string>();
        string? after = null;
        do
        {
            var page = await fixture.Store.ListObjectsAsync(Bucket, new() { Delimiter = "/", Prefix = "1/", MaxKeys = 2, After = after }, default);
            seen.AddRange(page.CommonPrefixes);
            Assert.Equal(page.IsTruncated, page.NextAfter is not null);
            after = page.NextAfter;
        }
        while (after is not null);
        Assert.Equal(["1/0/", "1/1/", "1/2/"], seen);
    }

    [Fact]
    public async Task List_ExactlyFull_IsNotTruncated()
    {
        await using var fixture = await CreateAsync();
        await fixture.PutAsync("a", "");
        await fixture.PutAsync("b/1", "");
        await fixture.PutAsync("b/2", "");
        var page = await fixture.Store.ListObjectsAsync(Bucket, new() { Delimiter = "/", MaxKeys = 2 }, default);
        Assert.False(page.IsTruncated);
        Assert.Null(page.NextAfter);
        page = await fixture.Store.ListObjectsAsync(Bucket, new() { Delimiter = "/", MaxKeys = 1 }, default);
        Assert.True(page.IsTruncated);
        Assert.Equal("a", page.NextAfter);
        Assert.False((await fixture.Store.ListObjectsAsync(Bucket, new() { MaxKeys = 0 }, default)).IsTruncated);
    }

    [Fact]
    public async Task Delete_WhileListing_SkipsNothingThatStays()
    {
        await using var fixture = await CreateAsync();
        await Task.WhenAll(Enumerable.Range(0, 200).Select(i => fixture.PutAsync($"{i:d3}", "").AsTask()));
        var seen = new List<string>();
        string? after = null;
        do
        {
            var page = await fixture.Store.ListObjectsAsync(Bucket, new() { MaxKeys = 10, After = after }, default);
            seen.AddRange(page.Objects.Select(static listed => listed.Key));
            after = page.NextAfter;
            await Task.WhenAll(page.Objects.Select(listed => fixture.Store.DeleteObjectAsync(Id(listed.Key), null, default).AsTask()));
        }
        while (after is not null);
        Assert.Equal(Enumerable.Range(0, 200).Select(static i => $"{i:d3}"), seen);
        Assert.Empty((await fixture.Store.ListObjectsAsync(Bucket, new(), default)).Objects);
    }

    [Fact]
    public async Task ListUploads_MarkersAndPrefixes_PageThroughAll()
    {
        await using var fixture = await CreateAsync();
        var a1 = await fixture.Store.CreateMultipartUploadAsync(Id("a"), new(), default);
        var a2 = await fixture.Store.CreateMultipartUploadAsync(Id("a"), new(), default);
        await fixture.Store.CreateMultipartUploadAsync(Id("d/1"), new(), default);
        await fixture.Store.CreateMultipartUploadAsync(Id("d/2"), new(), default);
        var e = await fixture.Store.CreateMultipartUploadAsync(Id("e"), new(), default);

        var page = await fixture.Store.ListMultipartUploadsAsync(Bucket, new() { MaxUploads = 1, Delimiter = "/" }, default);
        Assert.Equal([a1], page.Uploads.Select(static upload => upload.UploadId));
        Assert.True(page.IsTruncated);
        page = await fixture.Store.ListMultipartUploadsAsync(Bucket, new() { MaxUploads = 2, Delimiter = "/", KeyMarker = page.NextKeyMarker, UploadIdMarker = page.NextUploadIdMarker }, default);
        Assert.Equal([a2], page.Uploads.Select(static upload => upload.UploadId));
        Assert.Equal(["d/"], page.CommonPrefixes);
        Assert.True(page.IsTruncated);
        page = await fixture.Store.ListMultipartUploadsAsync(Bucket, new() { Delimiter = "/", KeyMarker = page.NextKeyMarker, UploadIdMarker = page.NextUploadIdMarker }, default);
        Assert.Equal([e], page.Uploads.Select(static upload => upload.UploadId));
        Assert.False(page.IsTruncated);
        page = await fixture.Store.ListMultipartUploadsAsync(Bucket, new() { KeyMarker = "a" }, default);
        Assert.Equal(["d/1", "d/2", "e"], page.Uploads.Select(static upload => upload.Key));
        page = await fixture.Store.ListMultipartUploadsAsync(Bucket, new() { Prefix = "d/" }, default);
        Assert.Equal(2, page.Uploads.Count);
        await RefusedAsync(S3ErrorCode.InvalidArgument, async () => await fixture.Store.ListMultipartUploadsAsync(Bucket, new() { KeyMarker = "a", UploadIdMarker = "zz" }, default));
    }

    private static (List<string> Objects, List<string> Prefixes, bool Truncated, string? Next) Expected(SortedSet<string> keys, ListQuery query)
    {
        var names = new List<(string Name, bool Prefix)>();
        foreach (var key in keys.Where(key => key.StartsWith(query.Prefix, StringComparison.Ordinal)))
        {
            var at = string.IsNullOrEmpty(query.Delimiter) ? -1 : key.IndexOf(query.Delimiter, query.Prefix.Length, StringComparison.Ordinal);
            var name = at < 0 ? (key, false) : (key[..(at + query.Delimiter!.Length)], true);
            if (!names.Contains(name) && (query.After is null || Utf8(name.Item1).AsSpan().SequenceCompareTo(Utf8(query.After)) > 0))
            {
                names.Add(name);
            }
        }

        var page = names.Take(query.MaxKeys).ToList();
        var truncated = query.MaxKeys > 0 && names.Count > page.Count;
        return (page.Where(static name => !name.Prefix).Select(static name => name.Name).ToList(), page.Where(static name => name.Prefix).Select(static name => name.Name).ToList(),
            truncated, truncated ? page[^1].Name : null);
    }

    private static string Name(Random random, int most)
    {
        // Beyond the BMP sorts after U+FFFD in UTF-8 and before it in UTF-16: an order by strings would show.
        string[] letters = ["a", "b", "/", "/", "\0", "é", "\uFFFD", "😀"];
        return string.Concat(Enumerable.Range(0, random.Next(most + 1)).Select(_ => letters[random.Next(letters.Length)]));
    }

    private static byte[] Utf8(string text) => Encoding.UTF8.GetBytes(text);
}
