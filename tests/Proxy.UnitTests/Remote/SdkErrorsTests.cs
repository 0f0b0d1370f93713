using System.Net;
using Proxy.Backends.Remote;
using Proxy.S3.Errors;

namespace Proxy.UnitTests.Remote;

/// <summary>What a backend's status becomes where it says no more.</summary>
public sealed class SdkErrorsTests
{
    [Theory]
    [InlineData(408)]
    [InlineData(425)]
    [InlineData(429)]
    [InlineData(499)]
    [InlineData(500)]
    [InlineData(503)]
    [InlineData(504)]
    public void Status_ThatTimeMayMend_IsSlowDown(int status)
    {
        var error = SdkErrors.FromStatus((HttpStatusCode)status, code: null, "/b/k", isObject: true, etag: null, cause: null);
        Assert.Equal(S3ErrorCode.SlowDown, error.Code);
        Assert.Contains(error.Headers, static header => header.Key == "Retry-After");
    }

    [Theory]
    [InlineData(400)]
    [InlineData(409)]
    public void Status_ThatStays_IsNot(int status)
        => Assert.Equal(S3ErrorCode.InvalidRequest, SdkErrors.FromStatus((HttpStatusCode)status, code: null, "/b/k", isObject: true, etag: null, cause: null).Code);
}
