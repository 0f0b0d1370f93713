using System.Globalization;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Proxy.Backends.Local.Bodies;

/// <summary>The files of bodies, named by number and never changed once written; the last reader of a retired one removes it.</summary>
/// <remarks>
/// Thread-safe. 4096 files to a folder, in order of their numbers: <c>bodies/00000000000/000000000000f3.body</c>. Neighbours: <see cref="BodyWriter"/> makes
/// files here, <see cref="BodyStream"/> reads them, the index says which are alive.
/// </remarks>
internal sealed class BodyFolder(string root, bool fsync, DiskThreads disk, LocalCounts counts)
{
    private readonly Lock _lock = new();
    private readonly Dictionary<long, Pin> _pins = [];
    private readonly HashSet<string> _folders = new(StringComparer.Ordinal);
    private long _retirements;

    public DiskThreads Disk => disk;

    public bool Fsync => fsync;

    public LocalCounts Counts => counts;

    public UploadBuffers Buffers { get; } = new();

    /// <summary>How many bodies were retired so far: unchanged between two looks means that what was found in between is still there.</summary>
    public long Retirements => Volatile.Read(ref _retirements);

    public static string FolderName(long body) => (body >> 12).ToString("x11", CultureInfo.InvariantCulture);

    public string FolderOf(long body) => Path.Combine(root, FolderName(body));

    public string PathOf(long body) => Path.Combine(FolderOf(body), body.ToString("x14", CultureInfo.InvariantCulture) + ".body");

    /// <summary>Creates the file of a new body. One that is there already is somebody's, and stays as it is.</summary>
    /// <param name="length">Reserved at once when known, so that a full disk is noticed before the upload; 0 when not.</param>
    public SafeFileHandle Create(long body, long length)
    {
        EnsureFolder(FolderOf(body));
        var file = File.OpenHandle(PathOf(body), FileMode.CreateNew, FileAccess.Write, FileShare.Read);
        try
        {
            Native.Reserve(file, root, length);
            return file;
        }
        catch
        {
            file.Dispose();
            Remove(body);
            throw;
        }
    }

    /// <summary>Keeps files from being removed until <see cref="Unpin"/>. Whoever pins checks afterwards that nothing was retired meanwhile.</summary>
    public void PinAll(List<Extent> extents)
    {
        lock (_lock)
        {
            foreach (var extent in extents)
            {
                if (!extent.Inline)
                {
                    (CollectionsMarshal.GetValueRefOrAddDefault(_pins, extent.Body, out _) ??= new Pin()).Count++;
                }
            }
        }
    }

    public void Unpin(ReadOnlySpan<Extent> extents)
    {
        List<SafeFileHandle>? close = null;
        List<long>? remove = null;
        lock (_lock)
        {
            foreach (var extent in extents)
            {
                if (!extent.Inline && _pins.TryGetValue(extent.Body, out var pin) && --pin.Count == 0)
                {
                    _pins.Remove(extent.Body);
                    if (pin.Handle is not null)
                    {
                        (close ??= []).Add(pin.Handle);
                    }

                    if (pin.Retired)
                    {
                        (remove ??= []).Add(extent.Body);
                    }
                }
            }
        }

        close?.ForEach(static handle => handle.Dispose());
        remove?.ForEach(Remove);
    }

    /// <summary>The shared handle of a pinned body; closed with its last pin.</summary>
    public SafeFileHandle Open(long body)
    {
        lock (_lock)
        {
            if (_pins[body].Handle is { } open)
            {
                return open;
            }
        }

        var handle = File.OpenHandle(PathOf(body), FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
        lock (_lock)
        {
            var pin = _pins[body];
            if (pin.Handle is null)
            {
                pin.Handle = handle;
                return handle;
            }

            handle.Dispose();
            return pin.Handle;
        }
    }

    /// <summary>Whether somebody reads it: then its last reader removes it, not the sweep.</summary>
    public bool IsPinned(long body)
    {
        lock (_lock)
        {
            return _pins.ContainsKey(body);
        }
    }

    /// <summary>Called after the commit that dropped the last reference.</summary>
    public void Retire(IReadOnlyList<long> bodies)
    {
        if (bodies.Count == 0)
        {
            return;
        }

        var now = new List<long>(bodies.Count);
        lock (_lock)
        {
            foreach (var body in bodies)
            {
                if (_pins.TryGetValue(body, out var pin))
                {
                    pin.Retired = true;
                }
                else
                {
                    now.Add(body);
                }
            }

            Volatile.Write(ref _retirements, _retirements + 1);
        }

        if (now.Count > 0)
        {
            disk.Post(() => now.ForEach(RemoveNow));
        }
    }

    /// <summary>Removes a body that the index never knew, or knows no more.</summary>
    public void Remove(long body) => disk.Post(() => RemoveNow(body));

    private void RemoveNow(long body)
    {
        try
        {
            File.Delete(PathOf(body));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // It is an orphan now: the next start sweeps it.
        }
    }

    private void EnsureFolder(string folder)
    {
        lock (_lock)
        {
            if (_folders.Contains(folder))
            {
                return;
            }
        }

        Directory.CreateDirectory(folder);
        if (fsync)
        {
            Native.FlushFolder(root);
        }

        lock (_lock)
        {
            _folders.Add(folder);
        }
    }

    private sealed class Pin
    {
        public int Count;
        public bool Retired;
        public SafeFileHandle? Handle;
    }
}
