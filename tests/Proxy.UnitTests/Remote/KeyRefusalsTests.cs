using System.Net;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using Proxy.Backends.Remote;

namespace Proxy.UnitTests.Remote;

/// <summary>What a refusal that says no code, as a HEAD's, is taken for.</summary>
public sealed class KeyRefusalsTests
{
    private readonly FakeTimeProvider _time = new();
    private readonly KeyRefusals _refusals;

    public KeyRefusalsTests() => _refusals = new KeyRefusals("test", _time, NullLogger.Instance);

    [Fact]
    public void Judge_NoCodeAgainAndAgain_IsAboutKeysForTenSecondsAfterTheLastCode()
    {
        Assert.NotNull(_refusals.Judge(HttpStatusCode.Forbidden, "InvalidAccessKeyId", null));
        for (var second = 5; second <= 60; second += 5)
        {
            _time.Advance(TimeSpan.FromSeconds(5));
            Assert.Equal((second, second < 10), (second, _refusals.Judge(HttpStatusCode.Forbidden, null, null) is not null));
        }

        Assert.NotNull(_refusals.Judge(HttpStatusCode.Forbidden, "SignatureDoesNotMatch", null));
        Assert.NotNull(_refusals.Judge(HttpStatusCode.Forbidden, null, null));
    }

    [Fact]
    public void Judge_NoCodeAfterOneOfItsStatusThatIsNotAboutKeys_IsTheClients()
    {
        Assert.NotNull(_refusals.Judge(HttpStatusCode.Forbidden, "InvalidAccessKeyId", null));
        Assert.Null(_refusals.Judge(HttpStatusCode.BadRequest, "InvalidArgument", null));
        Assert.NotNull(_refusals.Judge(HttpStatusCode.Forbidden, null, null));
        Assert.Null(_refusals.Judge(HttpStatusCode.Forbidden, "AccessDenied", null));
        Assert.Null(_refusals.Judge(HttpStatusCode.Forbidden, null, null));
    }
}
