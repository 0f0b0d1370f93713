using Proxy.S3.Errors;

namespace Proxy.Backends.Local.Index;

/// <summary>One change on its way through <see cref="IndexWriter"/>: run in a batch, perhaps run again alone, and ended once.</summary>
internal abstract class IndexMutation(string? folder, int inlineBytes)
{
    public string? Folder { get; } = folder;

    public int InlineBytes { get; } = inlineBytes;

    public abstract bool IsRefused { get; }

    public abstract void Apply(IndexTransaction transaction);

    public abstract void Succeed();

    public abstract void Fail(Exception e);
}

/// <inheritdoc cref="IndexMutation"/>
internal sealed class IndexMutation<T>(Func<IndexTransaction, T> apply, string? folder, int inlineBytes) : IndexMutation(folder, inlineBytes)
{
    // Elsewhere than on the writer's thread: what awaits must not hold up the next batch.
    private readonly TaskCompletionSource<T> _done = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private S3Exception? _refusal;
    private T? _result;

    public Task<T> Done => _done.Task;

    public override bool IsRefused => _refusal is not null;

    public override void Apply(IndexTransaction transaction)
    {
        _refusal = null;
        try
        {
            _result = apply(transaction);
        }
        catch (S3Exception e)
        {
            _refusal = e;
        }
    }

    public override void Succeed()
    {
        if (_refusal is null)
        {
            _done.SetResult(_result!);
        }
        else
        {
            _done.SetException(_refusal);
        }
    }

    public override void Fail(Exception e) => _done.TrySetException(e);
}
