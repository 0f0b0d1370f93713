using Proxy.S3.Errors;
using Proxy.S3.Requests;

namespace Proxy.UnitTests.S3;

public sealed class S3TargetTests
{
    private static readonly Addressing Hosted = new(["s3.example.com"]);

    [Theory]
    [InlineData("/", "", "")]
    [InlineData("/b1", "b1", "")]
    [InlineData("/b1/", "b1", "")]
    [InlineData("/b1/k", "b1", "k")]
    [InlineData("/b1/a/b/c", "b1", "a/b/c")]
    [InlineData("/b1//a", "b1", "/a")]
    [InlineData("/b1/a//b/", "b1", "a//b/")]
    [InlineData("/b1/../x", "b1", "../x")]
    [InlineData("/b1/./x", "b1", "./x")]
    [InlineData("/b1/a+b", "b1", "a+b")]
    [InlineData("/b1/a%2Bb", "b1", "a+b")]
    [InlineData("/b1/a%20b", "b1", "a b")]
    [InlineData("/b1/a%2Fb", "b1", "a/b")]
    [InlineData("/b1/%25", "b1", "%")]
    [InlineData("/b1/%2525", "b1", "%25")]
    [InlineData("/b1/%F0%9F%98%80", "b1", "😀")]
    [InlineData("/b1/%e4%bd%a0?x=1", "b1", "你")]
    [InlineData("/b1/k?a=/b", "b1", "k")]
    [InlineData("http://host:9000/b1/k", "b1", "k")]
    [InlineData("https://host", "", "")]
    [InlineData("http://host?uploads", "", "")]
    public void Parse_PathStyle_NamesBucketAndExactKey(string raw, string bucket, string key)
    {
        var target = S3Target.Parse(raw, "host:9000", Addressing.PathStyle);
        Assert.Equal((bucket, key), (target.Bucket, target.Key));
        Assert.False(target.IsVirtualHost);
        Assert.StartsWith("/", target.RawPath.ToString());
    }

    [Theory]
    [InlineData("b1.s3.example.com:9000", "/k", "b1", "k", true)]
    [InlineData("B.x.S3.Example.com", "/", "B.x", "", true)]
    [InlineData("s3.example.com", "/b1/k", "b1", "k", false)]
    [InlineData("other.com", "/b1/k", "b1", "k", false)]
    [InlineData("b1.s3.example.com", "//k", "b1", "/k", true)]
    public void Parse_BaseDomain_TakesBucketFromHost(string host, string raw, string bucket, string key, bool hosted)
    {
        var target = S3Target.Parse(raw, host, Hosted);
        Assert.Equal((bucket, key, hosted), (target.Bucket, target.Key, target.IsVirtualHost));
    }

    [Theory]
    [InlineData("", "InvalidURI")]
    [InlineData("*", "InvalidURI")]
    [InlineData("b/k", "InvalidURI")]
    [InlineData("/b/%", "InvalidURI")]
    [InlineData("/b/%4", "InvalidURI")]
    [InlineData("/b/%zz", "InvalidURI")]
    [InlineData("/b/%ff%fe", "InvalidURI")]
    [InlineData("/b/%C0%AF", "InvalidURI")]
    [InlineData("/b/%ED%A0%80", "InvalidURI")]
    [InlineData("//k", "InvalidBucketName")]
    [InlineData("/../k", "InvalidBucketName")]
    [InlineData("/b%2Fc/k", "InvalidBucketName")]
    [InlineData("/b%00/k", "InvalidBucketName")]
    public void Parse_Nonsense_IsRefused(string raw, string code)
        => Assert.Equal(code, Assert.Throws<S3Exception>(() => { S3Target.Parse(raw, null, Addressing.PathStyle); }).Code.Name);

    [Fact]
    public void Parse_HalfASurrogatePair_IsRefused()
        => Assert.Equal(S3ErrorCode.InvalidUri, Assert.Throws<S3Exception>(() => { S3Target.Parse("/b/" + '\ud800', null, Addressing.PathStyle); }).Code);

    [Fact]
    public void Parse_KeyOf1024Bytes_IsTheLongest()
    {
        Assert.Equal(1024, S3Target.Parse("/b/" + new string('k', 1024), null, Addressing.PathStyle).KeySpan.Length);
        Assert.Equal(S3ErrorCode.KeyTooLongError, Assert.Throws<S3Exception>(() => { S3Target.Parse("/b/" + new string('k', 1025), null, Addressing.PathStyle); }).Code);
        var wide = string.Concat(Enumerable.Repeat("%E4%BD%A0", 342));
        Assert.Equal(S3ErrorCode.KeyTooLongError, Assert.Throws<S3Exception>(() => { S3Target.Parse("/b/" + wide, null, Addressing.PathStyle); }).Code);
    }

    [Fact]
    public void Parse_PlainTarget_AllocatesNothing()
    {
        const string Raw = "/a-bucket/files/insert_log/4711/4712/4713/100/1234567890";
        var wrong = 0;
        Assert.Equal(0, Allocations.Least(100, () =>
        {
            var target = S3Target.Parse(Raw, "127.0.0.1:9000", Addressing.PathStyle);
            wrong += target.BucketSpan is "a-bucket" && target.KeySpan.Length == 46 && target.Query.IsEmpty ? 0 : 1;
        }));
        Assert.Equal(0, wrong);
    }

    [Fact]
    public void Parse_RandomTargets_AnswerOrRefuseInBoundedMemory()
        => RandomInput.Mutate(1, 20_000, ["/bucket/key/a%20b?uploads&prefix=a%2Fb+c&x", "http://h/b/k?partNumber=1&uploadId=x", "/b/%F0%9F%98%80//..//"],
            "/%?&=+.a0Fg:\u00e9\ud83d\ude00\0", maxBytes: 32 << 10, text =>
            {
                var target = S3Target.Parse(text, "h", Hosted);
                _ = target.Key.Length + target.Bucket.Length;
                foreach (var pair in target.Query)
                {
                    pair.Is("uploads");
                }

                target.Query.Get("prefix");
                OperationResolver.Resolve("GET", target, new HeaderTable());
            });

    [Theory]
    [InlineData("uploads", "uploads", "")]
    [InlineData("uploads=", "uploads", "")]
    [InlineData("a=1&uploads&b", "uploads", "")]
    [InlineData("prefix=a+b%2Bc%2Fd", "prefix", "a b+c/d")]
    [InlineData("up%6Coads=x", "uploads", "x")]
    [InlineData("a=1&a=2", "a", "1")]
    [InlineData("a=b=c", "a", "b=c")]
    [InlineData("&&a=1", "a", "1")]
    [InlineData("A=1", "a", null)]
    [InlineData("", "a", null)]
    public void Query_Get_GivesDecodedFirstValue(string query, string name, string? value)
        => Assert.Equal(value, S3Target.Parse("/b?" + query, null, Addressing.PathStyle).Query.Get(name));

    [Fact]
    public void Query_GetInt_RefusesWhatIsNoNumberInBounds()
    {
        Assert.Equal(7, S3Target.Parse("/b?max-keys=7", null, Addressing.PathStyle).Query.GetInt("max-keys", 0, 1000));
        Assert.Null(S3Target.Parse("/b", null, Addressing.PathStyle).Query.GetInt("max-keys", 0, 1000));
        Assert.Throws<S3Exception>(() => S3Target.Parse("/b?max-keys=-1", null, Addressing.PathStyle).Query.GetInt("max-keys", 0, 1000));
        Assert.Throws<S3Exception>(() => S3Target.Parse("/b?max-keys=x", null, Addressing.PathStyle).Query.GetInt("max-keys", 0, 1000));
    }

    [Theory]
    [InlineData("abc", true)]
    [InlineData("my-bucket.1", true)]
    [InlineData("ab", false)]
    [InlineData("Abc", false)]
    [InlineData("a..b", false)]
    [InlineData("a.-b", false)]
    [InlineData("a-.b", false)]
    [InlineData("a--b.c", true)]
    [InlineData("-abc", false)]
    [InlineData("abc-", false)]
    [InlineData("a_bc", false)]
    [InlineData("192.168.0.1", false)]
    [InlineData("xn--abc", false)]
    [InlineData("abc-s3alias", false)]
    [InlineData("a/c", false)]
    public void BucketName_ToCreate_FollowsS3(string name, bool valid) => Assert.Equal(valid, BucketName.IsValidToCreate(name));
}
