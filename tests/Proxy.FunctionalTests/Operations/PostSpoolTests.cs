using Proxy.FunctionalTests.Hosting;
using Proxy.FunctionalTests.Operations.Wire;

namespace Proxy.FunctionalTests.Operations;

/// <summary>Where a form's file waits until its end: a disk of the proxy's that may fail, and a file that must not stay.</summary>
public sealed class PostSpoolTests
{
    /// <summary>The form is in order, so its client may try again; the disk is the proxy's.</summary>
    [Fact]
    public async Task Post_TemporaryDiskFull_IsSlowDown()
    {
        var folder = Directory.CreateTempSubdirectory("post-spool-").FullName;
        await using var proxy = await ProxyProcess.StartAsync(environment: TemporaryFilesIn(folder), launcher: await OwnMounts.SmallDiskAsync(folder, 2 << 20));
        await using var s3 = await BucketAsync(proxy);
        (await new PostForm(s3).SendAsync(new string('x', 4 << 20))).Expect(503, "SlowDown");
        (await new PostForm(s3).SendAsync("small")).Expect(204);
        Assert.Equal("small", (await s3.GetAsync("/foo.txt")).Expect(200).Text);
        Directory.Delete(folder);
    }

    [Fact]
    public async Task Post_TemporaryFolderGone_IsAnErrorOfTheServers()
    {
        var folder = Directory.CreateTempSubdirectory("post-spool-").FullName;
        await using var proxy = await ProxyProcess.StartAsync(environment: TemporaryFilesIn(folder));
        await using var s3 = await BucketAsync(proxy);
        Directory.Delete(folder, recursive: true);
        (await new PostForm(s3).SendAsync("x")).Expect(500, "InternalError");
    }

    /// <summary>A file that has no name any more goes with the process, however that ends.</summary>
    [Fact]
    public async Task Post_KilledUnderTheUpload_LeavesNoFile()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "sees the open file in /proc");
        var folder = Directory.CreateTempSubdirectory("post-spool-").FullName;
        await using var proxy = await ProxyProcess.StartAsync(environment: TemporaryFilesIn(folder));
        await using var s3 = await BucketAsync(proxy);
        await using var connection = await WireConnection.OpenAsync(s3.Endpoint);
        await connection.WriteAsync($"POST /{s3.Bucket} HTTP/1.1\r\nHost: {s3.Endpoint.Authority}\r\nContent-Type: multipart/form-data; boundary=bound\r\nContent-Length: {1 << 30}\r\n\r\n{new PostForm(s3).Encode(new string('x', 200_000))}");
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(30));
        while (!Directory.GetFiles($"/proc/{proxy.ProcessId}/fd").Any(link => new FileInfo(link).LinkTarget is { } file && file.StartsWith(folder, StringComparison.Ordinal) && file.Contains(".tmp", StringComparison.Ordinal)))
        {
            await Task.Delay(20, patience.Token);
        }

        await proxy.KillAsync();
        Assert.Empty(Directory.GetFiles(folder, "*.tmp"));
        Directory.Delete(folder, recursive: true);
    }

    private static Dictionary<string, string> TemporaryFilesIn(string folder) => new() { ["TMPDIR"] = folder };

    private static async Task<S3Wire> BucketAsync(ProxyProcess proxy)
    {
        var s3 = new S3Wire(proxy.Endpoint, "forms");
        (await s3.PutAsync("", "")).Expect(200);
        return s3;
    }
}
