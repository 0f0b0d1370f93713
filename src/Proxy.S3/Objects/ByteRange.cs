namespace Proxy.S3.Objects;

/// <summary>One range of a Range header, before the object's size is known (RFC 9110 §14.1.2).</summary>
/// <remarks>
/// Three forms: <c>a-b</c> (<see cref="First"/> and <see cref="Last"/>, both inclusive), <c>a-</c> (<see cref="Last"/> is null),
/// <c>-n</c> (<see cref="First"/> is null and <see cref="Last"/> is the suffix length).
/// </remarks>
public readonly record struct ByteRange(long? First, long? Last)
{
    public static ByteRange FromTo(long first, long lastInclusive) => new(first, lastInclusive);

    public static ByteRange From(long first) => new(first, null);

    public static ByteRange Suffix(long length) => new(null, length);

    /// <summary>The span this range means in an object of <paramref name="size"/> bytes.</summary>
    /// <returns>False when nothing of the object is inside: the answer is then 416 InvalidRange.</returns>
    public bool TryResolve(long size, out ByteSpan span)
    {
        span = default;
        if (First is { } first)
        {
            if (first >= size)
            {
                return false;
            }

            var last = Last is { } asked ? Math.Min(asked, size - 1) : size - 1;
            span = new ByteSpan(first, last - first + 1);
            return true;
        }

        var length = Math.Min(Last ?? 0, size);
        if (length <= 0)
        {
            return false;
        }

        span = new ByteSpan(size - length, length);
        return true;
    }

    /// <summary>As a header value: <c>bytes=0-99</c>, <c>bytes=100-</c>, <c>bytes=-50</c>.</summary>
    public override string ToString() => First is null ? $"bytes=-{Last}" : $"bytes={First}-{Last}";
}

/// <summary>A resolved piece of an object: <paramref name="Offset"/> and <paramref name="Length"/> in bytes.</summary>
public readonly record struct ByteSpan(long Offset, long Length)
{
    /// <summary>One past the last byte.</summary>
    public long End => Offset + Length;
}
