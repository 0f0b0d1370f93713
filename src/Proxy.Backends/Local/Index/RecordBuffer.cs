using System.Buffers;
using System.Text;

namespace Proxy.Backends.Local.Index;

/// <summary>Writes the small binary records of the index: numbers of 7 bits a byte, texts and blobs with their length first.</summary>
internal sealed class RecordWriter
{
    private readonly ArrayBufferWriter<byte> _buffer = new();

    public ReadOnlySpan<byte> Written => _buffer.WrittenSpan;

    public RecordWriter Number(long value)
    {
        var left = (ulong)value;
        var span = _buffer.GetSpan(10);
        var i = 0;
        for (; left >= 0x80; left >>= 7)
        {
            span[i++] = (byte)(left | 0x80);
        }

        span[i++] = (byte)left;
        _buffer.Advance(i);
        return this;
    }

    public RecordWriter Blob(ReadOnlySpan<byte> value)
    {
        Number(value.Length);
        _buffer.Write(value);
        return this;
    }

    public RecordWriter Text(string? value)
    {
        // 0 is null, so that an empty text stays a text.
        if (value is null)
        {
            return Number(0);
        }

        var length = Encoding.UTF8.GetByteCount(value);
        Number(length + 1);
        Encoding.UTF8.GetBytes(value, _buffer);
        return this;
    }
}

/// <summary>Reads what <see cref="RecordWriter"/> wrote, in the same order.</summary>
internal ref struct RecordReader(ReadOnlySpan<byte> record)
{
    private ReadOnlySpan<byte> _rest = record;

    public long Number()
    {
        ulong value = 0;
        for (var shift = 0; ; shift += 7)
        {
            var b = _rest[0];
            _rest = _rest[1..];
            value |= (ulong)(b & 0x7F) << shift;
            if (b < 0x80)
            {
                return (long)value;
            }
        }
    }

    public ReadOnlySpan<byte> Blob() => Take((int)Number());

    public string? Text()
    {
        var length = (int)Number();
        return length == 0 ? null : Encoding.UTF8.GetString(Take(length - 1));
    }

    private ReadOnlySpan<byte> Take(int length)
    {
        var taken = _rest[..length];
        _rest = _rest[length..];
        return taken;
    }
}
