using Proxy.FunctionalTests.Hosting;
using Proxy.FunctionalTests.Operations.Wire;
using Proxy.S3.Auth;

namespace Proxy.FunctionalTests.Operations;

/// <summary>Who may: signatures in the header and in the query, and what each wrong one is told.</summary>
/// <remarks>The proxy alone decides this, whatever stands behind it, so nothing here is held against Ceph.</remarks>
public sealed class AuthorizationTests(TestServers servers) : OperationTests(servers)
{
    [Fact]
    public Task Header_WrongInAnyWay_IsRefused() => RunAsync(Setup.Local, async s3 =>
    {
        (await s3.PutAsync("/k", "x")).Expect(200);
        var get = new WireRequest("GET", $"/{s3.Bucket}/k");
        (await s3.SendAsync(get with { Credential = new Credential("minioadmin", "wrongsecret") })).Expect(403, "SignatureDoesNotMatch");
        (await s3.SendAsync(get with { Credential = new Credential("unknown-key", "minioadmin") })).Expect(403, "InvalidAccessKeyId");
        (await s3.SendAsync(get with { Signing = Signing.None })).Expect(403, "AccessDenied");
        (await s3.SendAsync(get with { ClockOffset = TimeSpan.FromMinutes(16) })).Expect(403, "RequestTimeTooSkewed");
        (await s3.SendAsync(get with { ClockOffset = TimeSpan.FromMinutes(-16) })).Expect(403, "RequestTimeTooSkewed");
        (await s3.SendAsync(get with { ClockOffset = TimeSpan.FromMinutes(14) })).Expect(200);
        (await s3.SendAsync(get with { ClockOffset = TimeSpan.FromMinutes(-14) })).Expect(200);
        Assert.Equal(403, (await s3.SendAsync(get with { UnsignedHeaders = [new("x-amz-meta-smuggled", "1")] })).Status);
        (await s3.SendAsync(get with { UnsignedHeaders = [new("X-Forwarded-For", "1.2.3.4"), new("User-Agent", "any")] })).Expect(200);
        (await s3.SendAsync(get with { Signing = Signing.None, UnsignedHeaders = [new("Authorization", "AWS minioadmin:c2lnbmF0dXJl"), new("Date", DateTimeOffset.UtcNow.ToString("R"))] })).Expect(403, "AccessDenied");
        foreach (var header in (string[])["AWS4-HMAC-SHA256", "AWS4-HMAC-SHA256 Credential=x", "Bearer abc", "AWS4-HMAC-SHA256 Credential=a/b/c/d/e,SignedHeaders=host,Signature=00"])
        {
            Assert.InRange((await s3.SendAsync(get with { Signing = Signing.None, UnsignedHeaders = [new("Authorization", header)] })).Status, 400, 403);
        }

        (await s3.SendAsync(new WireRequest("PUT", $"/{s3.Bucket}/k") { Signing = Signing.None, Body = "y"u8.ToArray() })).Expect(403, "AccessDenied");
        Assert.Equal("x", (await s3.GetAsync("/k")).Expect(200).Text);
    });

    [Fact]
    public Task Presigned_GetAndPut_AndEveryWrongOne() => RunAsync(Setup.Local, async s3 =>
    {
        var get = new WireRequest("GET", $"/{s3.Bucket}/a%20b") { Signing = Signing.Presigned };
        (await s3.SendAsync(new WireRequest("PUT", $"/{s3.Bucket}/a%20b") { Signing = Signing.Presigned, Body = "hello"u8.ToArray() })).Expect(200);
        Assert.Equal("hello", (await s3.SendAsync(get)).Expect(200).Text);
        Assert.Equal("a/b", (await s3.SendAsync(get with { Target = get.Target + "?response-content-type=a%2Fb" })).Expect(200).Header("Content-Type"));
        (await s3.SendAsync(get with { Expires = TimeSpan.FromDays(7) })).Expect(200);
        (await s3.SendAsync(get with { Expires = TimeSpan.FromDays(7) + TimeSpan.FromSeconds(1) })).Expect(403, "AccessDenied");
        (await s3.SendAsync(get with { Expires = TimeSpan.Zero })).Expect(403, "AccessDenied");
        (await s3.SendAsync(get with { Expires = TimeSpan.FromSeconds(-5) })).Expect(403, "AccessDenied");
        (await s3.SendAsync(get with { Expires = TimeSpan.FromSeconds(60), ClockOffset = TimeSpan.FromSeconds(-61) })).Expect(403, "AccessDenied");
        (await s3.SendAsync(get with { ClockOffset = TimeSpan.FromMinutes(16) })).Expect(403, "AccessDenied");
        (await s3.SendAsync(get with { Credential = new Credential("minioadmin", "wrongsecret") })).Expect(403, "SignatureDoesNotMatch");
        (await s3.SendAsync(get with { Credential = new Credential("unknown-key", "minioadmin") })).Expect(403, "InvalidAccessKeyId");
        (await s3.SendAsync(get with { Method = "HEAD" })).Expect(200);
        (await s3.SendAsync(new WireRequest("PUT", $"/{s3.Bucket}/a%20b") { Signing = Signing.Presigned, UnsignedHeaders = [new("x-amz-content-sha256", "invalid")] })).Expect(403, "SignatureDoesNotMatch");
        Assert.Equal("hello", (await s3.GetAsync("/a%20b")).Expect(200).Text);
    });

    /// <summary>The refusal quotes the service, and a HEAD's quotes it in a header.</summary>
    [Fact]
    public Task Presigned_LineEndInTheScope_IsRefusedAsAnyOtherScope() => RunAsync(Setup.Local, async s3 =>
    {
        var target = $"/{s3.Bucket}/k?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=a%2F20260101%2Fr%2Fs%0A3%2Faws4_request&X-Amz-Date=20260101T000000Z&X-Amz-Expires=60&X-Amz-SignedHeaders=host&X-Amz-Signature=00";
        foreach (var method in (string[])["GET", "HEAD"])
        {
            Assert.Equal(400, (await s3.SendAsync(new WireRequest(method, target) { Signing = Signing.None })).Status);
        }
    });

    [Fact]
    public Task Presigned_WithADigestThatIsNone_IsAMismatch() => RunAsync(Setup.Local, async s3 =>
    {
        foreach (var body in (byte[][])[[], "hello"u8.ToArray()])
        {
            var put = new WireRequest("PUT", $"/{s3.Bucket}/k") { Signing = Signing.Presigned, Body = body, Headers = [new("x-amz-content-sha256", "invalid-sha256")] };
            (await s3.SendAsync(put)).Expect(400, "XAmzContentSHA256Mismatch");
        }

        (await s3.HeadAsync("/k")).Expect(404);
    });

    [Fact]
    public Task Presigned_HoistedHeaders_AreHeadersAgain() => RunAsync(Setup.Local, async s3 =>
    {
        var put = new WireRequest("PUT", $"/{s3.Bucket}/k?x-amz-meta-one=1&x-amz-tagging=a%3D1&x-amz-checksum-crc32=AAAAAA%3D%3D&x-id=PutObject") { Signing = Signing.Presigned, Body = "hello"u8.ToArray() };
        (await s3.SendAsync(put)).Expect(200);
        var head = (await s3.HeadAsync("/k")).Expect(200);
        Assert.Equal("1", head.Header("x-amz-meta-one"));
        Assert.Equal("1", head.Header("x-amz-tagging-count"));
    });

    [Fact]
    public Task SignedOtherwiseThanSent_DoesNotMatch() => RunAsync(Setup.Local, async s3 =>
    {
        (await s3.PutAsync("/secret", "x")).Expect(200);
        var (head, _) = s3.Encode(new WireRequest("GET", $"/{s3.Bucket}/public"));
        await using var connection = await WireConnection.OpenAsync(s3.Endpoint);
        await connection.WriteAsync(System.Text.Encoding.UTF8.GetString(head).Replace("/public", "/secret", StringComparison.Ordinal));
        (await connection.ReadAnswerAsync()).Expect(403, "SignatureDoesNotMatch");
    });

    [Fact]
    public async Task Credentials_AreHeldToTheirBucketsPrefixesAndRights()
    {
        await using var proxy = await ProxyProcess.StartAsync(
        [
            "--nvme", "0",
            "--set", "S3:Credentials:0:AccessKey=rootroot", "--set", "S3:Credentials:0:SecretKey=rootsecret",
            "--set", "S3:Credentials:1:AccessKey=reader", "--set", "S3:Credentials:1:SecretKey=readersecret", "--set", "S3:Credentials:1:ReadOnly=true",
            "--set", "S3:Credentials:2:AccessKey=tenant", "--set", "S3:Credentials:2:SecretKey=tenantsecret", "--set", "S3:Credentials:2:Buckets:0=shared/tenant/", "--set", "S3:Credentials:2:Buckets:1=own",
        ]);
        Credential root = new("rootroot", "rootsecret"), reader = new("reader", "readersecret"), tenant = new("tenant", "tenantsecret");
        await using var s3 = new S3Wire(proxy.Endpoint, "shared");
        Task<Answer> Send(Credential who, string method, string target, params (string, string)[] headers) =>
            s3.SendAsync(new WireRequest(method, target) { Credential = who, Headers = S3Wire.Pairs(headers), Body = method == "PUT" ? "x"u8.ToArray() : [] });

        (await s3.SendAsync(new WireRequest("PUT", "/shared") { Credential = root })).Expect(200);
        (await s3.SendAsync(new WireRequest("PUT", "/other") { Credential = root })).Expect(200);
        (await Send(root, "PUT", "/shared/secret")).Expect(200);
        (await Send(root, "PUT", "/shared/tenant/a")).Expect(200);
        (await s3.SendAsync(new WireRequest("GET", "/") { Credential = S3Wire.Admin })).Expect(403, "InvalidAccessKeyId");

        (await Send(reader, "GET", "/shared/secret")).Expect(200);
        (await Send(reader, "GET", "/shared?list-type=2")).Expect(200);
        (await Send(reader, "PUT", "/shared/secret")).Expect(403, "AccessDenied");
        (await Send(reader, "DELETE", "/shared/secret")).Expect(403, "AccessDenied");
        (await Send(reader, "POST", "/shared/secret?uploads")).Expect(403, "AccessDenied");
        (await s3.SendAsync(new WireRequest("PUT", "/readers") { Credential = reader })).Expect(403, "AccessDenied");

        (await Send(tenant, "GET", "/shared/tenant/a")).Expect(200);
        (await Send(tenant, "PUT", "/shared/tenant/b")).Expect(200);
        (await Send(tenant, "GET", "/shared/secret")).Expect(403, "AccessDenied");
        (await Send(tenant, "GET", "/shared/absent")).Expect(403, "AccessDenied");
        (await Send(tenant, "GET", "/shared/tenant/../secret")).Expect(404, "NoSuchKey"); // a key like any other, and not that one
        (await Send(tenant, "GET", "/other?list-type=2")).Expect(403, "AccessDenied");
        (await Send(tenant, "GET", "/shared?list-type=2")).Expect(403, "AccessDenied");
        (await Send(tenant, "GET", "/shared?list-type=2&prefix=tenant/")).Expect(200);
        (await Send(tenant, "PUT", "/shared/tenant/c", ("x-amz-copy-source", "shared/secret"))).Expect(403, "AccessDenied");
        Assert.Equal(["shared"], (await Send(tenant, "GET", "/")).Expect(200).Values("Bucket", "Name"));

        var document = "<Delete><Object><Key>secret</Key></Object><Object><Key>tenant/b</Key></Object></Delete>"u8.ToArray();
        var deleted = (await s3.SendAsync(new WireRequest("POST", "/shared?delete") { Credential = tenant, Body = document, Headers = [new("Content-MD5", Convert.ToBase64String(System.Security.Cryptography.MD5.HashData(document)))] })).Expect(200);
        Assert.Equal(["tenant/b"], deleted.Values("Deleted", "Key"));
        Assert.Equal(["AccessDenied"], deleted.Values("Error", "Code"));
        (await Send(root, "GET", "/shared/secret")).Expect(200);
    }

    [Fact]
    public async Task VirtualHostStyle_NamesTheBucketInTheHost()
    {
        await using var proxy = await ProxyProcess.StartAsync(["--nvme", "0", "--set", "S3:Domain=s3.example.test"]);
        await using var s3 = new S3Wire(proxy.Endpoint, "vhost");
        (await s3.SendAsync(new WireRequest("PUT", "/") { Host = "vhost.s3.example.test" })).Expect(200);
        (await s3.SendAsync(new WireRequest("PUT", "/a/b") { Host = "vhost.s3.example.test", Body = "hello"u8.ToArray() })).Expect(200);
        Assert.Equal("hello", (await s3.SendAsync(new WireRequest("GET", "/a/b") { Host = "vhost.s3.example.test:9000" })).Expect(200).Text);
        Assert.Equal("hello", (await s3.SendAsync(new WireRequest("GET", "/vhost/a/b") { Host = "s3.example.test" })).Expect(200).Text);
        Assert.Equal("hello", (await s3.GetAsync("/a/b")).Expect(200).Text);
        Assert.Equal(["a/b"], (await s3.SendAsync(new WireRequest("GET", "/?list-type=2") { Host = "vhost.s3.example.test" })).Expect(200).Values("Contents", "Key"));
    }

    [Fact]
    public async Task Tls_ServesTheSame()
    {
        var folder = Directory.CreateTempSubdirectory("proxy-tls-").FullName;
        using var key = System.Security.Cryptography.ECDsa.Create(System.Security.Cryptography.ECCurve.NamedCurves.nistP256);
        var request = new System.Security.Cryptography.X509Certificates.CertificateRequest("CN=localhost", key, System.Security.Cryptography.HashAlgorithmName.SHA256);
        var names = new System.Security.Cryptography.X509Certificates.SubjectAlternativeNameBuilder();
        names.AddIpAddress(System.Net.IPAddress.Loopback);
        request.CertificateExtensions.Add(names.Build());
        using var certificate = request.CreateSelfSigned(DateTimeOffset.UtcNow.AddDays(-1), DateTimeOffset.UtcNow.AddDays(1));
        await File.WriteAllTextAsync(Path.Combine(folder, "cert.pem"), certificate.ExportCertificatePem(), TestContext.Current.CancellationToken);
        await File.WriteAllTextAsync(Path.Combine(folder, "key.pem"), key.ExportPkcs8PrivateKeyPem(), TestContext.Current.CancellationToken);
        try
        {
            await using var proxy = await ProxyProcess.StartAsync(["--nvme", "0", "--set", $"S3:Tls:CertificateFile={folder}/cert.pem", "--set", $"S3:Tls:KeyFile={folder}/key.pem"]);
            await using var s3 = new S3Wire(new Uri($"https://{proxy.Endpoint.Authority}"), "secure");
            (await s3.SendAsync("PUT", "")).Expect(200);
            var body = Bytes(3_000_000);
            (await s3.SendAsync(new WireRequest("PUT", "/secure/k") { Body = body, PayloadHash = PayloadHash.Unsigned })).Expect(200);
            for (var round = 0; round < 2; round++)
            {
                Assert.Equal(body, (await s3.GetAsync("/k")).Expect(200).Body);
            }
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }
}
