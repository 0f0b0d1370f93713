namespace Proxy.S3.Objects;

/// <summary>An open answer to a read: the object's facts and a stream of the bytes asked for.</summary>
/// <remarks>Whoever gets one disposes it, also when it stops half-way. Not thread-safe.</remarks>
public sealed class ObjectBody(ObjectInfo info, ByteSpan span, Stream content) : IAsyncDisposable
{
    /// <summary>Facts of the whole object, whatever range is open.</summary>
    public ObjectInfo Info { get; } = info;

    /// <summary>Which bytes of the object <see cref="Content"/> gives.</summary>
    public ByteSpan Span { get; } = span;

    /// <summary>Exactly <see cref="Span"/>.Length bytes; an early end or an error surfaces as an <see cref="IOException"/>.</summary>
    public Stream Content { get; } = content;

    public ValueTask DisposeAsync() => Content.DisposeAsync();
}
