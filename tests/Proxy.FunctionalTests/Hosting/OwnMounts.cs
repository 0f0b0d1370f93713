using System.Diagnostics;

namespace Proxy.FunctionalTests.Hosting;

/// <summary>Starts a process that sees a mount of its own; nobody else does, and it goes with the process.</summary>
internal static class OwnMounts
{
    /// <summary>To start a <see cref="ProxyProcess"/> with. Skips the test where a process may not have mounts of its own.</summary>
    /// <param name="mount">What to mount, as a shell command.</param>
    public static async Task<string[]> LauncherAsync(string mount)
    {
        string[] launcher = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", $"{mount} && exec \"$@\"", "sh"];
        try
        {
            using var tried = Process.Start(new ProcessStartInfo(launcher[0], launcher.Skip(1).Append("true")) { UseShellExecute = false, RedirectStandardError = true })!;
            await tried.WaitForExitAsync();
            Assert.SkipUnless(tried.ExitCode == 0, $"no mounts of its own here: {await tried.StandardError.ReadToEndAsync()}");
        }
        catch (System.ComponentModel.Win32Exception missing)
        {
            Assert.Skip($"no unshare here: {missing.Message}");
        }

        return launcher;
    }

    /// <summary>A file system of so many bytes, in memory, over a folder.</summary>
    public static Task<string[]> SmallDiskAsync(string folder, int bytes) => LauncherAsync($"mount -t tmpfs -o size={bytes} tmpfs {folder}");
}
