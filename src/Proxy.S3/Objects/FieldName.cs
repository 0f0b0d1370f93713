using System.Buffers;

namespace Proxy.S3.Objects;

/// <summary>What the name of a header may be: a token (RFC 9110 §5.1, §5.6.2).</summary>
/// <remarks>Neither Kestrel nor HttpClient sends any other: the one fails the whole answer, the other leaves the header out.</remarks>
public static class FieldName
{
    private static readonly SearchValues<char> TokenCharacters = SearchValues.Create("!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz");

    public static bool IsValid(ReadOnlySpan<char> name) => !name.IsEmpty && !name.ContainsAnyExcept(TokenCharacters);
}
