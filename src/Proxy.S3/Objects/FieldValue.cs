using System.Buffers;

namespace Proxy.S3.Objects;

/// <summary>What the value of a header may hold: no control character but the tab (RFC 9110 §5.5).</summary>
/// <remarks>Kestrel sends no other either: what is to be answered with one day has to keep to it when it comes in.</remarks>
public static class FieldValue
{
    private static readonly SearchValues<char> Controls = SearchValues.Create([.. Enumerable.Range(0, 32).Where(static code => code != '\t').Select(static code => (char)code), '\u007F']);

    private static readonly SearchValues<byte> ControlBytes = SearchValues.Create([.. Enumerable.Range(0, 32).Where(static code => code != '\t').Select(static code => (byte)code), 0x7F]);

    public static bool IsValid(ReadOnlySpan<char> value) => !value.ContainsAny(Controls);

    /// <param name="value">In UTF-8.</param>
    public static bool IsValid(ReadOnlySpan<byte> value) => !value.ContainsAny(ControlBytes);

    /// <summary>A space in the place of each character that may not be there, as §5.5 has it for what cannot be refused.</summary>
    /// <returns>The value itself when there is none.</returns>
    public static string Clean(string value)
        => IsValid(value) ? value : string.Create(value.Length, value, static (clean, given) => given.AsSpan().ReplaceAny(clean, Controls, ' '));
}
