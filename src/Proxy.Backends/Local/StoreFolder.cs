using System.Globalization;
using Proxy.Backends.Local.Bodies;
using Proxy.Backends.Local.Index;

namespace Proxy.Backends.Local;

/// <summary>The folder a store lives in: <c>lock</c>, <c>format</c>, <c>index.db</c> and <c>bodies/</c>. Holds the lock while open.</summary>
internal sealed class StoreFolder : IDisposable
{
    private const string FormatText = "s3-tier-proxy local store, format ";
    private const int Format = 1;

    private readonly FileStream _lock;

    private StoreFolder(string root, FileStream locked)
    {
        Root = root;
        _lock = locked;
    }

    public string Root { get; }

    public string Bodies => Path.Combine(Root, "bodies");

    /// <exception cref="IOException">In use, of another format, or not writable: the message says which and what to do.</exception>
    public static StoreFolder Open(string path, bool fsync)
    {
        var root = Path.GetFullPath(path);
        FileStream locked;
        try
        {
            Directory.CreateDirectory(root);
            Directory.CreateDirectory(Path.Combine(root, "bodies"));
        }
        catch (UnauthorizedAccessException e)
        {
            throw new IOException($"The local store cannot write to {root}: give this user the folder, or set Local:Directory to another.", e);
        }

        try
        {
            // An exclusive flock: the kernel lets go of it when the process ends, however it ends.
            locked = new FileStream(Path.Combine(root, "lock"), FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
        }
        catch (UnauthorizedAccessException e)
        {
            throw new IOException($"The local store cannot write to {root}: give this user the folder, or set Local:Directory to another.", e);
        }
        catch (IOException e) when (!DiskErrors.IsFull(e))
        {
            throw new IOException($"The local store {root} is in use by another process: stop that one, or set Local:Directory to another folder.", e);
        }

        try
        {
            CheckFormat(root, fsync);
            CheckIndex(root);
            return new StoreFolder(root, locked);
        }
        catch
        {
            locked.Dispose();
            throw;
        }
    }

    public void Dispose() => _lock.Dispose();

    /// <summary>An index made anew would know none of the bodies that are there: they would be overwritten by number, and swept.</summary>
    private static void CheckIndex(string root)
    {
        if (!File.Exists(Path.Combine(root, KeyIndex.FileName)) && Directory.EnumerateFileSystemEntries(Path.Combine(root, "bodies")).Any())
        {
            throw new IOException(
                $"{root} holds bodies but no {KeyIndex.FileName}, without which nobody knows what they are: put it back together with its -wal, or move the folder bodies away to start with an empty store.");
        }
    }

    private static void CheckFormat(string root, bool fsync)
    {
        var path = Path.Combine(root, "format");
        if (File.Exists(path) && File.ReadAllText(path).Trim() is { Length: > 0 } text)
        {
            if (!text.StartsWith(FormatText, StringComparison.Ordinal)
                || !int.TryParse(text.AsSpan(FormatText.Length), NumberStyles.None, CultureInfo.InvariantCulture, out var format)
                || format > Format)
            {
                throw new IOException($"{root} holds a store of another format ({text}): this version reads up to {Format}. Use the version that wrote it.");
            }

            return;
        }

        // Aside and renamed, so that a crash leaves no half-written version.
        var temporary = path + ".new";
        File.WriteAllText(temporary, string.Create(CultureInfo.InvariantCulture, $"{FormatText}{Format}\n"));
        File.Move(temporary, path, overwrite: true);
        if (fsync)
        {
            Native.FlushFolder(root);
            FlushAbove(root);
        }
    }

    /// <summary>The store's own name, and those of the folders it lies in: any of them may be as new as it is.</summary>
    private static void FlushAbove(string root)
    {
        for (var folder = Path.GetDirectoryName(root); folder is { Length: > 0 }; folder = Path.GetDirectoryName(folder))
        {
            try
            {
                Native.FlushFolder(folder);
            }
            catch (IOException refused) when (refused is not FlushFailedException { NothingIsFlushedThere: false })
            {
                // One that may be entered but not read, or lies on what is never written: what was made there was made by somebody else.
            }
        }
    }
}
