using System.Globalization;
using Microsoft.Extensions.Time.Testing;
using Proxy.S3.Auth;
using Proxy.S3.Errors;
using Proxy.S3.Requests;

namespace Proxy.UnitTests.S3;

public sealed class SignatureTests
{
    private static readonly DateTimeOffset Start = new(2013, 5, 24, 0, 0, 0, TimeSpan.Zero);
    private static readonly Credential Example = new("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY");

    private static readonly Addressing Hosts = new(["s3.amazonaws.com"]);

    private readonly FakeTimeProvider _time = new(Start);

    private SignatureVerifier Verifier(SignatureOptions? options = null, params Credential[] credentials)
        => new(new CredentialTable(credentials.Length > 0 ? credentials : [Example]), options ?? new SignatureOptions(), _time);

    // API Reference, "Signature Calculations for the Authorization Header: Transferring Payload in a Single Chunk", examples.
    [Theory]
    [InlineData("GET", "/test.txt", "range=bytes=0-9", PayloadHash.Empty, "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41")]
    [InlineData("PUT", "/test%24file.text", "date=Fri, 24 May 2013 00:00:00 GMT|x-amz-storage-class=REDUCED_REDUNDANCY",
        "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072", "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd")]
    [InlineData("GET", "/?lifecycle", "", PayloadHash.Empty, "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543")]
    [InlineData("GET", "/?max-keys=2&prefix=J", "", PayloadHash.Empty, "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7")]
    [InlineData("GET", "/?prefix=J&max-keys=2", "", PayloadHash.Empty, "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7")]
    public void Sign_PublishedExample_GivesPublishedSignature(string method, string target, string headers, string payload, string signature)
    {
        var pairs = headers.Split('|', StringSplitOptions.RemoveEmptyEntries).Select(text => text.Split('=', 2)).Select(pair => KeyValuePair.Create(pair[0], pair[1])).ToList();
        var signed = new RequestSigner("us-east-1", _time).Sign(method, target, "examplebucket.s3.amazonaws.com", pairs, payload, Example);
        Assert.EndsWith("Signature=" + signature, signed.Authorization);
        var table = new HeaderTable { ["Host"] = "examplebucket.s3.amazonaws.com" };
        pairs.ForEach(pair => table[pair.Key] = pair.Value);
        Apply(signed, table);
        Assert.Same(Example, Verify(Verifier(), method, target, table).Credential);
    }

    [Fact]
    public void Verify_PublishedPresignedExample_IsAccepted()
    {
        const string Target = "/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request"
            + "&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404";
        var headers = new HeaderTable { ["host"] = "examplebucket.s3.amazonaws.com" };
        var verified = Verify(Verifier(), "GET", Target, headers);
        Assert.True(verified is { IsPresigned: true, Payload: PayloadMode.Unsigned, SignedHeaders: "host" });
        Assert.Equal(Target, new RequestSigner("us-east-1", _time).Presign("GET", "/test.txt", "examplebucket.s3.amazonaws.com", [], TimeSpan.FromDays(1), Example));

        _time.Advance(TimeSpan.FromSeconds(86400));
        Verify(Verifier(), "GET", Target, headers);
        _time.Advance(TimeSpan.FromSeconds(1));
        var expired = Refusal(() => Verify(Verifier(), "GET", Target, headers));
        Assert.Equal(("AccessDenied", "Request has expired"), (expired.Code.Name, expired.Message));
    }

    [Theory]
    [InlineData("/b/plain")]
    [InlineData("/b/..%2F..")]
    [InlineData("/b/../a//b/./c")]
    [InlineData("/b//lead")]
    [InlineData("/b/a+b")]
    [InlineData("/b/a%2Bb")]
    [InlineData("/b/a%20b")]
    [InlineData("/b/%25%2525")]
    [InlineData("/b/%F0%9F%98%80/%e4%bd%a0")]
    [InlineData("/b/a(b)!'*=,;:@&$")]
    [InlineData("/b/?list-type=2&prefix=a%2Fb%20c&delimiter=%2F&continuation-token=&fetch-owner=true")]
    [InlineData("/b/?prefix=a+b&b=2&a=1&a=0&a")]
    [InlineData("/b/k?uploads")]
    [InlineData("/b/k?uploadId=a%2Bb%3D%3D&partNumber=7")]
    public void Verify_SignedOddTarget_IsAcceptedAndOneByteMoreIsNot(string target)
    {
        var (headers, verifier) = (new HeaderTable { ["Host"] = "127.0.0.1:9000" }, Verifier());
        Apply(new RequestSigner("us-east-1", _time).Sign("GET", target, "127.0.0.1:9000", [], PayloadHash.Empty, Example), headers);
        Assert.Equal(PayloadHash.Empty, Verify(verifier, "GET", target, headers).PayloadSha256);
        Assert.Equal("SignatureDoesNotMatch", Refusal(() => Verify(verifier, "GET", target + "x", headers)).Code.Name);
        Assert.Equal("SignatureDoesNotMatch", Refusal(() => Verify(verifier, "HEAD", target, headers)).Code.Name);

        var presigned = new RequestSigner("us-east-1", _time).Presign("GET", target, "127.0.0.1:9000", [], TimeSpan.FromMinutes(5), Example);
        Assert.True(Verify(verifier, "GET", presigned, new HeaderTable { ["Host"] = "127.0.0.1:9000" }).IsPresigned);
        Assert.Equal("SignatureDoesNotMatch", Refusal(() => Verify(verifier, "GET", presigned, new HeaderTable { ["Host"] = "127.0.0.1:9001" })).Code.Name);
    }

    [Fact]
    public void Verify_RandomKeys_RoundTrip()
    {
        var random = new Random(3);
        var verifier = Verifier();
        var signer = new RequestSigner("us-east-1", _time);
        for (var i = 0; i < 2000; i++)
        {
            var key = string.Concat(Enumerable.Range(0, random.Next(1, 20)).Select(_ => random.Next(6) switch
            {
                0 => "/",
                1 => ((char)random.Next(33, 127)).ToString(),
                2 => "..",
                3 => "%",
                4 => char.ConvertFromUtf32(random.Next(0xE000, 0x10FFFF)),
                _ => "+ ",
            }));
            var target = "/b/" + Uri.EscapeDataString(key).Replace("%2F", random.Next(2) == 0 ? "/" : "%2F", StringComparison.Ordinal);
            Assert.Equal(key, S3Target.Parse(target, null, Addressing.PathStyle).Key);
            var headers = new HeaderTable { ["Host"] = "h" };
            Apply(signer.Sign("PUT", target, "h", [], PayloadHash.Unsigned, Example), headers);
            Verify(verifier, "PUT", target, headers);
        }
    }

    [Fact]
    public void Verify_SpacesAndSeveralValues_AreCanonicalised()
    {
        var headers = new HeaderTable { ["Host"] = "h", ["X-Amz-Meta-A"] = "  a   b  ", ["x-amz-meta-b"] = "1, 2" };
        Apply(new RequestSigner("us-east-1", _time).Sign("PUT", "/b/k", "h", [new("x-amz-meta-a", "a b"), new("X-Amz-Meta-B", "1, 2")], PayloadHash.Unsigned, Example), headers);
        Assert.Equal("host;x-amz-content-sha256;x-amz-date;x-amz-meta-a;x-amz-meta-b", Verify(Verifier(), "PUT", "/b/k", headers).SignedHeaders);
    }

    /// <summary>botocore: <c>' '.join(value.split())</c>; minio-go the same with Unicode's white space; aws-sdk-go leaves a tab alone.</summary>
    [Theory]
    [InlineData("x\ty", "x y")]
    [InlineData("x \t y\u3000\u00a0z", "x y z")]
    [InlineData("x\ty", "x\ty")]
    [InlineData("x\u3000y", "x\u3000y")]
    public void Verify_OtherWhiteSpace_IsASpaceOrItself(string sent, string signed)
    {
        foreach (var target in (string[])["/b/k", "/b/a%2Fb*?prefix=a/b"])
        {
            var headers = new HeaderTable { ["Host"] = "h", ["x-amz-meta-a"] = sent };
            Apply(new RequestSigner("us-east-1", _time).Sign("PUT", target, "h", [new("x-amz-meta-a", signed)], PayloadHash.Unsigned, Example), headers);
            Assert.NotNull(Verify(Verifier(), "PUT", target, headers).Credential);
            headers["x-amz-meta-a"] = sent + "y";
            Assert.Equal("SignatureDoesNotMatch", Refusal(() => Verify(Verifier(), "PUT", target, headers)).Code.Name);
        }
    }

    [Theory]
    [InlineData("none", "AccessDenied", 403)]
    [InlineData("unknown-key", "InvalidAccessKeyId", 403)]
    [InlineData("bad-signature", "SignatureDoesNotMatch", 403)]
    [InlineData("no-signature", "AuthorizationHeaderMalformed", 400)]
    [InlineData("bad-scope", "AuthorizationHeaderMalformed", 400)]
    [InlineData("region", "AuthorizationHeaderMalformed", 400)]
    [InlineData("service", "AuthorizationHeaderMalformed", 400)]
    [InlineData("scope-date", "AuthorizationHeaderMalformed", 400)]
    [InlineData("v2", "AccessDenied", 403)]
    [InlineData("basic", "InvalidRequest", 400)]
    [InlineData("v2-query", "AccessDenied", 403)]
    [InlineData("both", "InvalidArgument", 400)]
    [InlineData("skew", "RequestTimeTooSkewed", 403)]
    [InlineData("no-date", "AccessDenied", 403)]
    [InlineData("no-sha", "InvalidRequest", 400)]
    [InlineData("bad-sha", "InvalidArgument", 400)]
    [InlineData("unsigned-header", "AccessDenied", 403)]
    [InlineData("unsigned-minio-header", "AccessDenied", 403)]
    [InlineData("unsigned-host", "AccessDenied", 403)]
    [InlineData("token", "InvalidToken", 400)]
    public void Verify_WhatIsWrong_IsSaidAsS3SaysIt(string wrong, string code, int status)
    {
        var target = "/b/k";
        var headers = new HeaderTable { ["Host"] = "h" };
        Apply(new RequestSigner("us-east-1", _time).Sign("GET", target, "h", [], PayloadHash.Empty, Example), headers);
        var authorization = headers["Authorization"];
        switch (wrong)
        {
            case "none":
                headers.Remove("Authorization");
                break;
            case "unknown-key":
                authorization = authorization.Replace("AKIA", "AKIB", StringComparison.Ordinal);
                break;
            case "bad-signature":
                authorization = authorization[..^1] + (authorization[^1] == '0' ? '1' : '0');
                break;
            case "no-signature":
                authorization = authorization[..authorization.LastIndexOf(',')];
                break;
            case "bad-scope":
                authorization = authorization.Replace("/aws4_request", "", StringComparison.Ordinal);
                break;
            case "region":
                authorization = authorization.Replace("us-east-1", "mars-1", StringComparison.Ordinal);
                break;
            case "service":
                authorization = authorization.Replace("/s3/", "/ec2/", StringComparison.Ordinal);
                break;
            case "scope-date":
                authorization = authorization.Replace("/20130524/", "/20130523/", StringComparison.Ordinal);
                break;
            case "v2":
                authorization = "AWS AKIAIOSFODNN7EXAMPLE:frJIUN8DYpKDtOLCwo//yllqDzg=";
                break;
            case "basic":
                authorization = "Basic bTptCg==";
                break;
            case "v2-query":
                headers.Remove("Authorization");
                target += "?AWSAccessKeyId=AKIAIOSFODNN7EXAMPLE&Expires=1&Signature=x";
                break;
            case "both":
                target += "?X-Amz-Algorithm=AWS4-HMAC-SHA256";
                break;
            case "skew":
                _time.Advance(TimeSpan.FromMinutes(15) + TimeSpan.FromSeconds(1));
                break;
            case "no-date":
                headers.Remove("x-amz-date");
                break;
            case "no-sha":
                headers.Remove("x-amz-content-sha256");
                break;
            case "bad-sha":
                headers["x-amz-content-sha256"] = "abc";
                break;
            case "unsigned-header":
                headers["x-amz-acl"] = "public-read";
                break;
            case "unsigned-minio-header":
                headers["X-Minio-Force-Delete"] = "true";
                break;
            case "unsigned-host":
                authorization = authorization.Replace("host;", "", StringComparison.Ordinal);
                break;
            case "token":
                headers["x-amz-security-token"] = "x";
                break;
        }

        if (headers.ContainsKey("Authorization"))
        {
            headers["Authorization"] = authorization;
        }

        var refusal = Refusal(() => Verify(Verifier(new SignatureOptions { Region = "eu-west-1" }), "GET", target, headers));
        Assert.Equal((code, status), (refusal.Code.Name, refusal.Code.Status));
        if (wrong == "region")
        {
            Assert.Contains(new("Region", "eu-west-1"), refusal.Details);
        }
    }

    [Theory]
    [InlineData("X-Amz-Expires=0", "AccessDenied")]
    [InlineData("X-Amz-Expires=604801", "AccessDenied")]
    [InlineData("X-Amz-Expires=-1", "AccessDenied")]
    [InlineData("X-Amz-Expires=x", "AuthorizationQueryParametersError")]
    [InlineData("X-Amz-Date=today", "AuthorizationQueryParametersError")]
    [InlineData("X-Amz-Algorithm=AWS4-ECDSA-P256-SHA256", "AuthorizationQueryParametersError")]
    [InlineData("X-Amz-Credential=x", "AuthorizationQueryParametersError")]
    public void Verify_PresignedWithBadParameter_IsRefused(string parameter, string code)
    {
        var target = new RequestSigner("us-east-1", _time).Presign("GET", "/b/k", "h", [], TimeSpan.FromSeconds(60), Example);
        var name = parameter[..(parameter.IndexOf('=') + 1)];
        var start = target.IndexOf(name, StringComparison.Ordinal);
        var end = target.IndexOf('&', start);
        target = target[..start] + parameter + target[end..];
        Assert.Equal(code, Refusal(() => Verify(Verifier(), "GET", target, new HeaderTable { ["host"] = "h" })).Code.Name);
    }

    [Fact]
    public void Verify_AnyRegion_WhenConfigured()
    {
        var headers = new HeaderTable { ["Host"] = "h" };
        Apply(new RequestSigner("mars-1", _time).Sign("GET", "/b/k", "h", [], PayloadHash.Empty, Example), headers);
        Verify(Verifier(new SignatureOptions { AcceptAnyRegion = true }), "GET", "/b/k", headers);
        Assert.Equal("AuthorizationHeaderMalformed", Refusal(() => Verify(Verifier(), "GET", "/b/k", headers)).Code.Name);
    }

    [Fact]
    public void Verify_TemporaryCredential_NeedsItsToken()
    {
        var temporary = new Credential("ASIA", "secret", "the-token");
        var headers = new HeaderTable { ["Host"] = "h" };
        Apply(new RequestSigner("us-east-1", _time).Sign("GET", "/b/k", "h", [], PayloadHash.Empty, temporary), headers);
        Assert.Same(temporary, Verify(Verifier(null, temporary), "GET", "/b/k", headers).Credential);
        headers["x-amz-security-token"] = "another";
        Assert.Equal("InvalidToken", Refusal(() => Verify(Verifier(null, temporary), "GET", "/b/k", headers)).Code.Name);

        var presigned = new RequestSigner("us-east-1", _time).Presign("GET", "/b/k", "h", [], TimeSpan.FromSeconds(60), temporary);
        Assert.Same(temporary, Verify(Verifier(null, temporary), "GET", presigned, new HeaderTable { ["host"] = "h" }).Credential);
    }

    [Fact]
    public void CredentialTable_Replaced_OldSecretNoLongerFits()
    {
        var table = new CredentialTable([Example]);
        var verifier = new SignatureVerifier(table, new SignatureOptions(), _time);
        var headers = new HeaderTable { ["Host"] = "h" };
        Apply(new RequestSigner("us-east-1", _time).Sign("GET", "/b/k", "h", [], PayloadHash.Empty, Example), headers);
        Verify(verifier, "GET", "/b/k", headers);
        table.Replace([new Credential(Example.AccessKey, "another")]);
        Assert.Equal("SignatureDoesNotMatch", Refusal(() => Verify(verifier, "GET", "/b/k", headers)).Code.Name);
    }

    [Fact]
    public void Verify_MinioGoGet_AllocatesNothing()
    {
        const string Target = "/a-bucket/files/index_files/449/1/448/447/HNSW_0";
        var headers = new HeaderTable { ["Host"] = "127.0.0.1:9000", ["User-Agent"] = "MinIO (linux; amd64) minio-go/v7.0.73", ["Range"] = "bytes=0-1048575" };
        Apply(new RequestSigner("us-east-1", _time).Sign("GET", Target, "127.0.0.1:9000", [], PayloadHash.Empty, Example), headers);
        var verifier = Verifier();
        var target = S3Target.Parse(Target, null, Addressing.PathStyle);
        for (var i = 0; i < 200; i++)
        {
            verifier.Verify("GET", target, headers);
        }

        Assert.Equal(0, Allocations.Least(500, () => verifier.Verify("GET", target, headers)));
    }

    /// <summary>A long header that the list names thousands of times would be copied and hashed as often, by whoever knows an access key.</summary>
    [Theory]
    [InlineData("a;", 16_000, false)]
    [InlineData("a;", 7_500, true)]
    [InlineData("A;a;", 1, false)]
    [InlineData("b{0};", 200, false)]
    public void Verify_NamesRepeatedOrTooMany_AreRefusedForNothing(string name, int count, bool presigned)
    {
        var headers = new HeaderTable { ["Host"] = "h" };
        var names = string.Concat(Enumerable.Range(0, count).Select(index => name.Replace("{0}", index.ToString(CultureInfo.InvariantCulture), StringComparison.Ordinal)));
        var signer = new RequestSigner("us-east-1", _time);
        var target = "/b/k";
        if (presigned)
        {
            target = signer.Presign("GET", target, "h", [], TimeSpan.FromSeconds(60), Example).Replace("SignedHeaders=host", "SignedHeaders=" + Uri.EscapeDataString(names) + "host", StringComparison.Ordinal);
        }
        else
        {
            Apply(signer.Sign("GET", target, "h", [], PayloadHash.Empty, Example), headers);
            headers["Authorization"] = headers["Authorization"].Replace("SignedHeaders=", "SignedHeaders=" + names, StringComparison.Ordinal);
        }

        headers["a"] = new string('v', 32_000);
        var (verifier, before) = (Verifier(), GC.GetAllocatedBytesForCurrentThread());
        Assert.Equal(presigned ? "AuthorizationQueryParametersError" : "AuthorizationHeaderMalformed", Refusal(() => Verify(verifier, "GET", target, headers)).Code.Name);
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 1 << 20);
    }

    /// <summary>Out of order is not S3's rule; it is hashed as it stands, and then it is another signature.</summary>
    [Fact]
    public void Verify_NamesOutOfOrder_AreNotMalformed()
    {
        var headers = new HeaderTable { ["Host"] = "h" };
        Apply(new RequestSigner("us-east-1", _time).Sign("GET", "/b/k", "h", [], PayloadHash.Empty, Example), headers);
        headers["Authorization"] = headers["Authorization"].Replace("host;x-amz-content-sha256", "x-amz-content-sha256;host", StringComparison.Ordinal);
        Assert.Equal("SignatureDoesNotMatch", Refusal(() => Verify(Verifier(), "GET", "/b/k", headers)).Code.Name);
    }

    [Fact]
    public void Verify_RandomAuthorizationHeaders_AreRefusedInBoundedMemory()
    {
        var headers = new HeaderTable { ["Host"] = "h" };
        Apply(new RequestSigner("us-east-1", _time).Sign("GET", "/b/k", "h", [], PayloadHash.Empty, Example), headers);
        var verifier = Verifier();
        var valid = headers["Authorization"];
        RandomInput.Mutate(4, 20_000, [valid], "AWS4-HMAC/=,; x0f\u00e9", maxBytes: 64 << 10, text =>
        {
            headers["Authorization"] = text;
            Verify(verifier, "GET", "/b/k", headers);

            // Accepted: then credential, list and signature are what they were.
            Assert.All(valid.Split([' ', ','], StringSplitOptions.RemoveEmptyEntries), piece => Assert.Contains(piece, text, StringComparison.OrdinalIgnoreCase));
        });
    }

    [Fact]
    public void Verify_RandomPresignedQueries_AreRefusedInBoundedMemory()
    {
        var verifier = Verifier();
        var headers = new HeaderTable { ["Host"] = "h" };
        var target = new RequestSigner("us-east-1", _time).Presign("GET", "/b/k", "h", [], TimeSpan.FromSeconds(60), Example);
        RandomInput.Mutate(5, 20_000, [target], "X-Amz&=%2F+0;/?a", maxBytes: 64 << 10, text => Verify(verifier, "GET", text, headers));
    }

    private static AuthenticatedRequest Verify(SignatureVerifier verifier, string method, string target, HeaderTable headers)
        => verifier.Verify(method, S3Target.Parse(target, headers.GetValueOrDefault("Host"), Hosts), headers);

    private static S3Exception Refusal(Func<AuthenticatedRequest> verify) => Assert.Throws<S3Exception>(() => { verify(); });

    internal static void Apply(RequestSignature signature, HeaderTable headers)
    {
        headers["Authorization"] = signature.Authorization;
        headers["x-amz-date"] = signature.AmzDate;
        headers["x-amz-content-sha256"] = signature.ContentSha256;
        if (signature.SecurityToken is { } token)
        {
            headers["x-amz-security-token"] = token;
        }
    }
}
