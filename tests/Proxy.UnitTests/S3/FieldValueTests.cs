using Proxy.S3.Objects;

namespace Proxy.UnitTests.S3;

public sealed class FieldValueTests
{
    [Fact]
    public void IsValid_EveryOneOfAscii_OnlyControlCharactersButTheTabAreNot()
    {
        for (var code = 0; code < 128; code++)
        {
            var text = $"a{(char)code}b";
            var expected = code == '\t' || !char.IsControl((char)code);
            Assert.Equal(expected, FieldValue.IsValid(text));
            Assert.Equal(expected, FieldValue.IsValid([(byte)'a', (byte)code, (byte)'b']));
            Assert.Equal(expected ? text : "a b", FieldValue.Clean(text));
        }
    }

    [Theory]
    [InlineData("")]
    [InlineData("grüße, 東京\t☃")]
    public void Clean_WhatIsValid_IsTheSame(string value) => Assert.Same(value, FieldValue.Clean(value));
}
