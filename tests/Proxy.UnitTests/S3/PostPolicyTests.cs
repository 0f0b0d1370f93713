using System.Globalization;
using System.Text;
using Microsoft.Extensions.Time.Testing;
using Proxy.S3.Auth;

namespace Proxy.UnitTests.S3;

/// <summary>Forms in a browser, signed by a policy; what a store does with them is in the functional tests.</summary>
public sealed class PostPolicyTests
{
    /// <summary>An access key may hold slashes; the scope is read from its end, as that of a signed request.</summary>
    [Theory]
    [InlineData("key")]
    [InlineData("team/key")]
    [InlineData("a/b/c/d/e")]
    public void Verify_AccessKey_IsAllBeforeTheScope(string accessKey)
    {
        var time = new FakeTimeProvider(new DateTimeOffset(2026, 3, 1, 12, 0, 0, TimeSpan.Zero));
        var credential = new Credential(accessKey, "a secret");
        var policy = Convert.ToBase64String(Encoding.UTF8.GetBytes("""{"expiration": "2026-03-01T13:00:00Z", "conditions": [["starts-with", "$key", ""], {"bucket": "b"}, ["starts-with", "$x-amz-algorithm", ""], ["starts-with", "$x-amz-credential", ""], ["starts-with", "$x-amz-date", ""]]}"""));
        var signature = new byte[32];
        credential.GetSigningKey("20260301", "us-east-1", "s3").Sign(Encoding.UTF8.GetBytes(policy), signature);
        Dictionary<string, string> fields = new(StringComparer.Ordinal)
        {
            ["bucket"] = "b",
            ["key"] = "k",
            ["policy"] = policy,
            ["x-amz-algorithm"] = "AWS4-HMAC-SHA256",
            ["x-amz-credential"] = string.Create(CultureInfo.InvariantCulture, $"{accessKey}/20260301/us-east-1/s3/aws4_request"),
            ["x-amz-date"] = "20260301T120000Z",
            ["x-amz-signature"] = Convert.ToHexStringLower(signature),
        };
        Assert.Equal(accessKey, PostPolicy.Verify(fields, new CredentialTable([credential]), time).Credential.AccessKey);
    }
}
