using System.Security.Cryptography;
using Proxy.FunctionalTests.Faults;
using Proxy.FunctionalTests.Hosting;
using Proxy.FunctionalTests.Operations.Wire;
using Proxy.S3.Auth;

namespace Proxy.FunctionalTests.Forwarding;

/// <summary>A backend obeys whatever the proxy signs: what a limited credential may not do by the front door, it may not do by any other.</summary>
public sealed class SideDoorTests : IClassFixture<SideDoorTests.House>
{
    private static readonly Credential Tenant = new("tenant", "tenantsecret");
    private static readonly Credential Reader = new("reader", "readersecret");
    private static readonly Credential Root = new("root", "rootsecret");
    private static readonly byte[] Secret = "secret"u8.ToArray();
    private readonly FaultyBackend _backend;
    private readonly S3Wire _s3;

    public SideDoorTests(House house)
    {
        (_backend, _s3) = (house.Backend, house.S3);
        _backend.Requests.Clear();
        _backend.Store.TryPut("shared", "secret", FaultyObject.Of(Secret));
        _backend.Store.TryPut("shared", "tenant/a", FaultyObject.Of("mine"u8.ToArray()));
    }

    /// <summary>A backend copies whatever else stands in the query.</summary>
    [Theory]
    [InlineData("/shared/tenant/c?anything=1")]
    [InlineData("/shared/tenant/c?versionId=null")]
    [InlineData("/shared/tenant/c?partNumber=1")]
    [InlineData("/shared/tenant/c?tagging&partNumber=1&uploadId=u")]
    public async Task CopySource_WhateverTheQuery_IsHeldToTheCredential(string target)
    {
        (await SendAsync(Tenant, "PUT", target, [], ("x-amz-copy-source", "shared/secret"))).Expect(403, "AccessDenied");
        Assert.DoesNotContain(_backend.Requests, request => request.Method == "PUT");
    }

    [Fact]
    public async Task CopySource_OfItsOwn_UnderAnUnknownQuery_IsCarriedOver()
    {
        (await SendAsync(Tenant, "PUT", "/shared/tenant/c?anything=1", [], ("x-amz-copy-source", "shared/tenant/a"))).Expect(200);
        Assert.Equal("mine"u8.ToArray(), _backend.Store.Find("shared", "tenant/c")!.Bytes);
    }

    [Theory]
    [InlineData("x-oss-copy-source")]
    [InlineData("x-cos-copy-source")]
    [InlineData("X-Goog-Copy-Source")]
    public async Task CopySource_InAnotherStoresDialect_IsNotCarriedOver(string header)
    {
        (await SendAsync(Tenant, "PUT", "/shared/tenant/c", [], (header, "/shared/secret"))).Expect(501, "NotImplemented");
        Assert.DoesNotContain(_backend.Requests, request => request.Method == "PUT");
    }

    /// <summary>S3 has taken it for a space: the credential and the cache would speak of one key and the backend of another.</summary>
    [Fact]
    public async Task Key_WithABarePlus_IsSpelledOutToTheBackend()
    {
        (await SendAsync(Tenant, "PUT", "/shared/tenant/a+b%20c", "plus"u8.ToArray())).Expect(200);
        Assert.Equal("plus"u8.ToArray(), _backend.Store.Find("shared", "tenant/a+b c")!.Bytes);
        Assert.All(_backend.Requests, request => Assert.Equal("/shared/tenant/a%2Bb%20c", request.RawTarget));
    }

    /// <summary>An SDK puts any x-amz header into the query of what it presigns, and S3 takes it out of there.</summary>
    [Theory]
    [InlineData("x-amz-copy-source=%2Fshared%2Fsecret")]
    [InlineData("X-Amz-Copy-Source=shared/secret")]
    [InlineData("x-amz-rename-source=%2Fshared%2Fsecret")]
    public async Task SourceInAPresignedQuery_IsHeldToTheCredential(string parameter)
    {
        (await _s3.SendAsync(new WireRequest("PUT", $"/shared/tenant/c?{parameter}") { Credential = Tenant, Signing = Signing.Presigned })).Expect(403, "AccessDenied");
        Assert.DoesNotContain(_backend.Requests, request => request.Method == "PUT");
    }

    /// <summary>Go's url.Parse, which MinIO reads the header with, takes what stands before a colon for a scheme, and what follows for a host.</summary>
    [Theory]
    [InlineData("team-a://x/shared/secret")]
    [InlineData("team-a?x/y")]
    [InlineData("team-a%2Fx/..%2Fk/%ZZ?/")]
    public async Task CopySource_ThatNamesNoBucket_IsRefused(string source)
    {
        var answer = await SendAsync(Tenant, "PUT", "/shared/tenant/c", [], ("x-amz-copy-source", source));
        Assert.True(answer.Status is 400 or 404, $"{answer.Status}");
        Assert.DoesNotContain(_backend.Requests, request => request.Operation == "CopyObject" && !request.Header("x-amz-copy-source")!.StartsWith("team-a%2Fx", StringComparison.Ordinal));
    }

    [Fact]
    public async Task ListBuckets_OfOneRemoteBackend_NamesOnlyWhatTheCredentialMaySee()
    {
        Assert.Equal(["shared", "team-a"], (await SendAsync(Tenant, "GET", "/", [])).Expect(200).Values("Bucket", "Name"));
        Assert.Equal(["minio", "other", "shared", "team-a"], (await SendAsync(Reader, "GET", "/", [])).Expect(200).Values("Bucket", "Name").Order());
    }

    /// <summary>Of two prefixes MinIO lists the first and Ceph the last.</summary>
    [Theory]
    [InlineData("list-type=2&prefix=tenant/&prefix=")]
    [InlineData("list-type=2&prefix=tenant/&%70refix=s")]
    [InlineData("prefix=tenant/&prefix")]
    [InlineData("uploads&prefix=tenant/&prefix=s")]
    public async Task Listing_OfTwoPrefixes_IsHeldToBoth(string query)
    {
        (await SendAsync(Tenant, "GET", "/shared?" + query, [])).Expect(403, "AccessDenied");
        Assert.Empty(_backend.Requests);
    }

    /// <summary>Of two keys in one entry MinIO deletes the last and Ceph the first.</summary>
    [Fact]
    public async Task DeleteObjects_EntryWithTwoKeys_IsMalformed()
    {
        var document = "<Delete><Object><Key>secret</Key><Key>tenant/a</Key></Object></Delete>"u8.ToArray();
        (await SendAsync(Tenant, "POST", "/shared?delete", document, ("Content-MD5", Convert.ToBase64String(MD5.HashData(document))))).Expect(400, "MalformedXML");
        Assert.NotNull(_backend.Store.Find("shared", "secret"));
        Assert.NotNull(_backend.Store.Find("shared", "tenant/a"));
    }

    /// <summary>A backend may fold "..": what a limited credential asks for must be its own also then.</summary>
    [Theory]
    [InlineData("GET", "/shared/tenant/../secret", null)]
    [InlineData("GET", "/shared/tenant/%2e%2e/secret", null)]
    [InlineData("GET", "/team-a/../shared/secret", null)]
    [InlineData("PUT", "/shared/tenant/../secret", null)]
    [InlineData("DELETE", "/shared/tenant/a/../../secret", null)]
    [InlineData("PUT", "/shared/tenant/c", "shared/tenant/../secret")]
    public async Task KeyThatClimbs_IsHeldToTheCredentialOfWhereItLeads(string method, string target, string? source)
    {
        var sources = source is null ? Array.Empty<(string, string)>() : [("x-amz-copy-source", source)];
        (await SendAsync(Tenant, method, target, [], sources)).Expect(403, "AccessDenied");
        Assert.DoesNotContain(_backend.Requests, static request => request.RawTarget.Contains("secret", StringComparison.Ordinal) || request.Operation == "CopyObject");
        (await SendAsync(Tenant, "GET", "/shared/tenant/a/../b", [])).Expect(404, "NoSuchKey");
    }

    [Fact]
    public async Task DeleteObjects_OfAKeyThatClimbs_DeletesNothing()
    {
        _backend.Store.TryPut("shared", "tenant/mine", FaultyObject.Of([1]));
        var before = _backend.Count("DeleteObjects");
        var document = "<Delete><Object><Key>tenant/mine</Key></Object><Object><Key>tenant/../secret</Key></Object></Delete>"u8.ToArray();
        (await SendAsync(Tenant, "POST", "/shared?delete", document, ("Content-MD5", Convert.ToBase64String(MD5.HashData(document))))).Expect(403, "AccessDenied");
        Assert.Equal(before, _backend.Count("DeleteObjects"));
        Assert.NotNull(_backend.Store.Find("shared", "tenant/mine"));
    }

    /// <summary>Under these paths stores are managed, by the same keys: no object was ever meant.</summary>
    [Theory]
    [InlineData("GET", "/minio/admin/v3/list-users?x=1")]
    [InlineData("GET", "/minio/%61dmin/v3/export-iam?x=1")]
    [InlineData("GET", "/minio/kms/v1/key/list?pattern=*")]
    [InlineData("GET", "/rustfs/admin/v3/info?x")]
    [InlineData("GET", "/rustfs/admin/v3/info")]
    [InlineData("GET", "/minio/%61dmin/v3/info")]
    [InlineData("GET", "/admin/user?uid=main")]
    [InlineData("GET", "/%61dmin/user?uid=main")]
    [InlineData("GET", "/admin/metadata/user")]
    [InlineData("GET", "/admin?info")]
    [InlineData("GET", "/admin")]
    [InlineData("HEAD", "/admin/user")]
    [InlineData("PUT", "/admin/user?uid=evil&display-name=evil")]
    [InlineData("PUT", "/admin/user")]
    [InlineData("PUT", "/admin")]
    [InlineData("POST", "/admin/user?key&uid=main")]
    [InlineData("POST", "/admin?delete")]
    [InlineData("DELETE", "/admin/user?uid=main")]
    [InlineData("GET", "/shared/../admin/user?uid=main")]
    [InlineData("PUT", "/shared/a/../../admin/user?uid=evil")]
    [InlineData("GET", "/minio/./admin/v3/info")]
    [InlineData("GET", "/minio//admin/v3/info")]
    [InlineData("POST", "/?Action=CreateAccessKey&UserName=main")]
    [InlineData("POST", "/")]
    public async Task ManagementOfTheBackend_IsNotForClients(string method, string target)
    {
        foreach (var who in (Credential[])[Reader, Root])
        {
            (await SendAsync(who, method, target, [])).Expect(403, "AccessDenied");
        }

        Assert.Empty(_backend.Requests);
    }

    /// <summary>Where it is a bucket, the operator says so.</summary>
    [Fact]
    public async Task ManagementPaths_AreTheConfigurations()
    {
        await using var proxy = await ProxyProcess.StartAsync(["--nvme", "0", "--set", "Backend:ManagementPaths:0=/minio/admin/", "--set", "Backend:ManagementPaths:1=manage"], new Uri(_backend.Url));
        await using var s3 = new S3Wire(proxy.Endpoint, "admin");
        (await s3.SendAsync("PUT", "")).Expect(200);
        (await s3.PutAsync("/user", "1")).Expect(200);
        Assert.Equal("1", (await s3.GetAsync("/user")).Expect(200).Text);
        (await s3.SendAsync(new WireRequest("PUT", "/minio/kms/k"))).Expect(200);
        _backend.Requests.Clear();
        (await s3.SendAsync(new WireRequest("GET", "/minio/admin/v3/info"))).Expect(403, "AccessDenied");
        (await s3.SendAsync(new WireRequest("GET", "/manage/user"))).Expect(403, "AccessDenied");
        Assert.Empty(_backend.Requests);
        _backend.Store.RemoveBucket("admin");
    }

    /// <summary>What a presigned query holds becomes a header: one, whatever is in it.</summary>
    [Fact]
    public async Task HoistedHeader_WithALineBreak_IsNotTwoHeaders()
    {
        var answer = await _s3.SendAsync(new WireRequest("PUT", "/shared/tenant/c?x-amz-meta-a=1%0D%0Ax-amz-copy-source:%20shared/secret") { Credential = Tenant, Signing = Signing.Presigned });
        answer.Expect(400);
        Assert.DoesNotContain(_backend.Requests, request => request.Method == "PUT");
    }

    /// <summary>Nobody signs Connection: whoever stands between can add to it, and must not take away what was signed, nor anybody what S3 reads.</summary>
    [Theory]
    [InlineData(Signing.Header, "if-none-match")]
    [InlineData(Signing.Presigned, "If-None-Match")]
    public async Task Connection_NamesTheCondition_ItIsHeldAllTheSame(object signing, string connection)
    {
        _backend.Store.TryPut("shared", "tenant/kept", FaultyObject.Of("first"u8.ToArray()));
        var put = new WireRequest("PUT", "/shared/tenant/kept") { Credential = Tenant, Signing = (Signing)signing, Body = "second"u8.ToArray(), UnsignedHeaders = [new("Connection", connection)] };
        var condition = S3Wire.Pairs([("If-None-Match", "*")]);
        (await _s3.SendAsync(put with { Headers = condition })).Expect(412, "PreconditionFailed");
        (await _s3.SendAsync(put with { UnsignedHeaders = [.. put.UnsignedHeaders, .. condition] })).Expect(412, "PreconditionFailed");
        Assert.Equal("first"u8.ToArray(), _backend.Store.Find("shared", "tenant/kept")!.Bytes);
    }

    [Fact]
    public async Task Connection_NamesTheSourceOfACopy_ItIsCopied()
    {
        var copy = new WireRequest("PUT", "/shared/tenant/c") { Credential = Tenant, Headers = S3Wire.Pairs([("x-amz-copy-source", "shared/tenant/a")]), UnsignedHeaders = [new("Connection", "x-amz-copy-source")] };
        (await _s3.SendAsync(copy)).Expect(200);
        Assert.Equal("mine"u8.ToArray(), _backend.Store.Find("shared", "tenant/c")!.Bytes);
    }

    [Fact]
    public async Task Connection_NamesAHeaderOfThisHop_ItEndsHereUnlessItIsSigned()
    {
        var put = new WireRequest("PUT", "/shared/tenant/c") { Credential = Tenant, UnsignedHeaders = [new("Connection", "X-Hop, X-Signed"), new("X-Hop", "1")], Headers = S3Wire.Pairs([("X-Signed", "1")]) };
        (await _s3.SendAsync(put)).Expect(200);
        var arrived = _backend.Requests.Single(request => request.Method == "PUT");
        Assert.Null(arrived.Header("X-Hop"));
        Assert.Equal("1", arrived.Header("X-Signed"));
        Assert.Null(arrived.Header("Connection"));
    }

    /// <summary>A version, unlike a listing, may be of any length and its reader of any slowness.</summary>
    [Fact]
    public async Task ReaderOfAVersion_ThatStops_KeepsNoTurnFromOthersMisses()
    {
        await using var proxy = await ProxyProcess.StartAsync(["--nvme", "0", "--set", "Backend:Health:MaxConcurrency=1", "--set", "Backend:Health:MaxWait=00:00:01"], new Uri(_backend.Url));
        _backend.Store.TryPut("shared", "large", FaultyObject.Of(new byte[32 << 20]));
        await using var s3 = new S3Wire(proxy.Endpoint, "shared");
        var (head, _) = s3.Encode(new WireRequest("GET", "/shared/large?versionId=1"));
        await using var slow = await WireConnection.OpenAsync(proxy.Endpoint, receiveBufferBytes: 16 << 10);
        await slow.WriteAsync(head);
        await slow.ReadAsync(1000);
        Assert.Equal(Secret, (await s3.GetAsync("/secret")).Expect(200).Body);
    }

    /// <summary>Once the backend has begun to answer a listing, the next read may ask.</summary>
    [Fact]
    public async Task ListingThatStalls_KeepsNoTurnFromOthersMisses()
    {
        await using var backend = await FaultyBackend.StartAsync(0, "shared");
        await using var proxy = await ProxyProcess.StartAsync(["--nvme", "0", "--set", "Backend:Health:MaxConcurrency=1", "--set", "Backend:Health:MaxWait=00:00:01"], new Uri(backend.Url));
        backend.Store.TryPut("shared", "secret", FaultyObject.Of(Secret));
        backend.Break("ListObjectsV2", new Fault { StallAfterBytes = 50 });
        await using var s3 = new S3Wire(proxy.Endpoint, "shared");
        var (head, _) = s3.Encode(new WireRequest("GET", "/shared?list-type=2"));
        await using var slow = await WireConnection.OpenAsync(proxy.Endpoint);
        await slow.WriteAsync(head);
        await slow.HasBegunAsync();
        var listing = slow.ReadAnswerAsync();
        await Task.Delay(300);
        Assert.False(listing.IsCompleted, "it does not stall");
        Assert.Equal(Secret, (await s3.GetAsync("/secret")).Expect(200).Body);
        Assert.Contains(backend.Requests, static request => request.RawTarget.Contains("list-type=2", StringComparison.Ordinal));
    }

    private Task<Answer> SendAsync(Credential who, string method, string target, byte[] body, params (string, string)[] headers)
        => _s3.SendAsync(new WireRequest(method, target) { Credential = who, Headers = S3Wire.Pairs(headers), Body = body });

    public sealed class House : IAsyncLifetime
    {
        private ProxyProcess _proxy = null!;

        internal FaultyBackend Backend { get; private set; } = null!;

        internal S3Wire S3 { get; private set; } = null!;

        public async ValueTask InitializeAsync()
        {
            Backend = await FaultyBackend.StartAsync(0, "shared", "team-a", "other", "minio");
            _proxy = await ProxyProcess.StartAsync(
                [
                    "--nvme", "0",
                    "--set", "S3:Credentials:0:AccessKey=tenant", "--set", "S3:Credentials:0:SecretKey=tenantsecret",
                    "--set", "S3:Credentials:0:Buckets:0=shared/tenant/", "--set", "S3:Credentials:0:Buckets:1=team-*",
                    "--set", "S3:Credentials:1:AccessKey=reader", "--set", "S3:Credentials:1:SecretKey=readersecret", "--set", "S3:Credentials:1:ReadOnly=true",
                    "--set", "S3:Credentials:2:AccessKey=root", "--set", "S3:Credentials:2:SecretKey=rootsecret",
                ],
                new Uri(Backend.Url));
            S3 = new S3Wire(_proxy.Endpoint, "shared");
        }

        public async ValueTask DisposeAsync()
        {
            await S3.DisposeAsync();
            await _proxy.DisposeAsync();
            await Backend.DisposeAsync();
        }
    }
}
