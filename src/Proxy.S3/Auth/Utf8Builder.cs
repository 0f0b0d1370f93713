using System.Buffers;
using System.Text;

namespace Proxy.S3.Auth;

/// <summary>Text as UTF-8 bytes in a stack buffer that moves to the pool when it grows.</summary>
internal ref struct Utf8Builder(Span<byte> initial)
{
    private Span<byte> _span = initial;
    private byte[]? _rented;
    private int _length;

    public readonly int Length => _length;

    public readonly ReadOnlySpan<byte> Written => _span[.._length];

    public void Append(byte value)
    {
        GetSpan(1)[0] = value;
        _length++;
    }

    public void Append(scoped ReadOnlySpan<byte> bytes)
    {
        bytes.CopyTo(GetSpan(bytes.Length));
        _length += bytes.Length;
    }

    public void Append(scoped ReadOnlySpan<char> text) => _length += Encoding.UTF8.GetBytes(text, GetSpan(text.Length * 3));

    public void AppendHex(scoped ReadOnlySpan<byte> bytes)
    {
        Convert.TryToHexStringLower(bytes, GetSpan(bytes.Length * 2), out var written);
        _length += written;
    }

    /// <summary>Room for <paramref name="size"/> bytes after what is written; <see cref="Advance"/> makes them count.</summary>
    public Span<byte> GetSpan(int size)
    {
        if (_span.Length - _length < size)
        {
            Grow(size);
        }

        return _span[_length..];
    }

    public void Advance(int count) => _length += count;

    public void Clear() => _length = 0;

    public void Dispose()
    {
        var rented = _rented;
        this = default;
        if (rented is not null)
        {
            ArrayPool<byte>.Shared.Return(rented);
        }
    }

    private void Grow(int size)
    {
        var larger = ArrayPool<byte>.Shared.Rent(Math.Max(checked(_length + size), _span.Length * 2));
        _span[.._length].CopyTo(larger);
        var old = _rented;
        _span = _rented = larger;
        if (old is not null)
        {
            ArrayPool<byte>.Shared.Return(old);
        }
    }
}
