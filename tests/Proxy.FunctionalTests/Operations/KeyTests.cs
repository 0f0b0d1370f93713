using System.Text;
using Proxy.FunctionalTests.Hosting;

namespace Proxy.FunctionalTests.Operations;

/// <summary>Keys as odd as S3 allows, through every operation that names one.</summary>
public sealed class KeyTests(TestServers servers) : OperationTests(servers)
{
    private static readonly string[] Odd =
    [
        "a b", "a+b", "a%20b", "a%2Fb", "a&b=c?d#e", "quote'\"x", "ключ/日本語", "emoji-😀", "~tilde!*()", "a//b", "trailing/", "dir/", "dir/file", "dir", "back\\slash", "semi;colon:at@",
        "<xml>&amp;", "..a/..b", "a/..b/c", "\u007f", "e\u0301", "\u00e9",
    ];

    [Theory, EverySetup]
    public Task Odd_PutGetListDelete_KeepsThemApart(Setup setup) => RunAsync(setup, s3 => RoundTripAsync(s3, Odd));

    [Theory, EverySetup]
    public Task LeadingSlash_IsAKeyOfItsOwn(Setup setup) => RunAsync(setup, s3 => RoundTripAsync(s3, ["/lead", "lead", "//two"]));

    [Theory, EverySetup]
    public Task Dots_NeverLeaveTheBucket(Setup setup) => RunAsync(setup, s3 => RoundTripAsync(s3, ["..", ".", "../up", "a/../b", "a/./b", "../../etc/passwd", "b"]));

    [Theory, EverySetup]
    public Task Controls_ComeBackInAUrlEncodedList(Setup setup) => RunAsync(setup, s3 => RoundTripAsync(s3, ["a\nb", "a\tb", "a\u0001b"]));

    [Theory, EverySetup]
    public Task Longest_Is1024Bytes(Setup setup) => RunAsync(setup, async s3 =>
    {
        foreach (var key in (string[])[new string('k', 1024), string.Concat(Enumerable.Repeat("é", 512)), string.Join('/', Enumerable.Repeat("d", 512)) + "/"])
        {
            (await s3.PutAsync(Path(key), key)).Expect(200);
            Assert.Equal(key, (await s3.GetAsync(Path(key))).Expect(200).Text);
        }

        (await s3.PutAsync("/" + new string('k', 1025), "x")).Expect(400, "KeyTooLongError");
    });

    [Theory, EverySetup]
    public Task NotUtf8_IsRefused(Setup setup) => RunAsync(setup, async s3 => Assert.InRange((await s3.PutAsync("/a%ffb", "x")).Status, 400, 499));

    private static async Task RoundTripAsync(Wire.S3Wire s3, string[] keys)
    {
        foreach (var key in keys)
        {
            (await s3.PutAsync(Path(key), "body of " + key)).Expect(200);
        }

        foreach (var key in keys)
        {
            Assert.Equal("body of " + key, (await s3.GetAsync(Path(key))).Expect(200).Text);
            (await s3.HeadAsync(Path(key))).Expect(200);
        }

        var listed = (await s3.GetAsync("?list-type=2&encoding-type=url")).Expect(200).Values("Contents", "Key").Select(Decode).ToList();
        Assert.Equal(keys.Order(ByteOrder.Instance), listed);
        foreach (var key in keys)
        {
            (await s3.DeleteAsync(Path(key))).Expect(204);
            (await s3.GetAsync(Path(key))).Expect(404, "NoSuchKey");
        }
    }

    private static string Path(string key) => "/" + Uri.EscapeDataString(key).Replace("%2F", "/", StringComparison.Ordinal);

    /// <summary>encoding-type=url is a form's encoding in some servers: a plus stands for a space, and a plus itself is always escaped.</summary>
    private static string Decode(string key) => Uri.UnescapeDataString(key.Replace('+', ' '));

    private sealed class ByteOrder : IComparer<string>
    {
        public static readonly ByteOrder Instance = new();

        public int Compare(string? x, string? y) => Encoding.UTF8.GetBytes(x!).AsSpan().SequenceCompareTo(Encoding.UTF8.GetBytes(y!));
    }
}
