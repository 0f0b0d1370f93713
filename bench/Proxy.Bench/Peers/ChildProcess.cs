using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Text;

namespace Proxy.Bench.Peers;

/// <summary>A process the bench started and will end, with what it wrote.</summary>
internal sealed partial class ChildProcess : IAsyncDisposable
{
    private const int SigTerm = 15;
    private const int OutputKept = 16 << 10;
    private static readonly TimeSpan StopWithin = TimeSpan.FromSeconds(20);

    // util-linux's; busybox has one that cannot.
    private const string Setpriv = "setpriv";
    private static readonly Lazy<bool> HasSetpriv = new(CanTellToEnd);

    private readonly Process _process;
    private readonly StringBuilder _output = new();
    private volatile bool _isAskedToEnd;
    private bool _isDisposed;

    private ChildProcess(Process process) => _process = process;

    public int Id => _process.Id;

    public bool HasExited => _process.HasExited;

    /// <summary>Once it has exited.</summary>
    public int ExitCode => _process.ExitCode;

    /// <summary>It ended, and nobody here had asked it to.</summary>
    public bool HasEndedByItself
    {
        get
        {
            try
            {
                return _process.HasExited && !_isAskedToEnd; // in this order: the flag is set before the signal leaves
            }
            catch (InvalidOperationException)
            {
                // Disposed between the two questions.
                return false;
            }
        }
    }

    /// <summary>The end of what it wrote.</summary>
    public string Output
    {
        get
        {
            lock (_output)
            {
                return _output.ToString();
            }
        }
    }

    /// <remarks>It ends with the bench, also when that is killed, where <c>setpriv</c> can say so.</remarks>
    /// <param name="file">Looked for in PATH and where Debian keeps servers.</param>
    public static ChildProcess Start(string file, IEnumerable<string> arguments, string folder)
    {
        // One that is not there fails to start, as it is; with setpriv before it, it would end.
        var located = Locate(file);
        var setpriv = Path.IsPathRooted(located) && HasSetpriv.Value ? Locate(Setpriv) : null;
        var process = new Process
        {
            StartInfo = new ProcessStartInfo(setpriv ?? located, setpriv is null ? arguments : ["--pdeathsig", "TERM", "--", located, .. arguments])
            {
                WorkingDirectory = folder,
                UseShellExecute = false,
                RedirectStandardOutput = true,
                RedirectStandardError = true,
            },
        };
        var child = new ChildProcess(process);
        process.OutputDataReceived += child.Keep;
        process.ErrorDataReceived += child.Keep;
        ChildStarter.Run(() => process.Start());
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
        return child;
    }

    /// <summary>Whether <see cref="Start"/> would find it.</summary>
    public static bool Exists(string file) => File.Exists(Locate(file));

    /// <summary>Waits for its end.</summary>
    /// <returns>Its exit code.</returns>
    public async Task<int> WaitAsync(CancellationToken cancellation)
    {
        await _process.WaitForExitAsync(cancellation);
        return _process.ExitCode;
    }

    /// <summary>Ends it as a power cut would.</summary>
    public async Task KillAsync()
    {
        _isAskedToEnd = true;
        _process.Kill(entireProcessTree: true);
        await _process.WaitForExitAsync();
    }

    /// <summary>Asks it to end, and ends it if it does not. May be called twice.</summary>
    public async ValueTask DisposeAsync()
    {
        if (_isDisposed)
        {
            return;
        }

        _isAskedToEnd = true;
        _isDisposed = true;
        if (!_process.HasExited)
        {
            _ = Kill(_process.Id, SigTerm);
            using var timeout = new CancellationTokenSource(StopWithin);
            try
            {
                await _process.WaitForExitAsync(timeout.Token);
            }
            catch (OperationCanceledException)
            {
                await KillAsync();
            }
        }

        _process.Dispose();
    }

    private static bool CanTellToEnd()
    {
        if (!Exists(Setpriv))
        {
            return false;
        }

        using var trial = Process.Start(new ProcessStartInfo(Locate(Setpriv), ["--pdeathsig", "TERM", "--", "true"]) { UseShellExecute = false, RedirectStandardError = true })!;
        trial.WaitForExit();
        return trial.ExitCode == 0;
    }

    private static string Locate(string file)
    {
        var folders = (Environment.GetEnvironmentVariable("PATH") ?? "").Split(':').Concat(["/usr/sbin", "/usr/local/sbin"]);
        return Path.IsPathRooted(file) ? file : folders.Select(folder => Path.Combine(folder, file)).FirstOrDefault(File.Exists) ?? file;
    }

    private void Keep(object sender, DataReceivedEventArgs line)
    {
        lock (_output)
        {
            // No data is the end of one of the two streams.
            if (line.Data is not null)
            {
                _output.AppendLine(line.Data);
                if (_output.Length > 2 * OutputKept)
                {
                    _output.Remove(0, _output.Length - OutputKept);
                }
            }
        }
    }

    [LibraryImport("libc", EntryPoint = "kill")]
    private static partial int Kill(int process, int signal);
}
