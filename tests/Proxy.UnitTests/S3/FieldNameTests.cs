using Proxy.S3.Objects;

namespace Proxy.UnitTests.S3;

public sealed class FieldNameTests
{
    [Fact]
    public void IsValid_EveryOneOfAsciiAndBeyond_IsWhatHttpClientTakes()
    {
        using var message = new HttpRequestMessage();
        for (var code = 0; code < 300; code++)
        {
            var name = $"x-a{(char)code}b";
            Assert.Equal(message.Headers.TryAddWithoutValidation(name, "1"), FieldName.IsValid(name));
        }

        Assert.False(FieldName.IsValid(""));
    }
}
