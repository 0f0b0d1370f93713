using System.Globalization;
using Proxy.FunctionalTests.Hosting;
using Proxy.FunctionalTests.Operations.Wire;

namespace Proxy.FunctionalTests.Durability;

/// <summary>Promise 2, the local store: between a request that changes something and its answer, all that the change consists of was flushed.</summary>
/// <remarks>What kill -9 cannot show, since the kernel keeps what was written: the calls themselves are looked at, with strace.</remarks>
public sealed class FlushTests : IAsyncDisposable
{
    // How a line of each goes on behind its call: the path of what was flushed stands in angle brackets. A body lies in a folder of its number's.
    private const string Body = ".body>";
    private const string Folder = "/store/bodies/00000000000>";
    private const string Bodies = "/store/bodies>";
    private const string Log = "/store/index.db-wal>";

    private readonly DirectoryInfo _directory = Directory.CreateTempSubdirectory("proxy-test-trace-");

    private string Trace => Path.Combine(_directory.FullName, "trace");

    public ValueTask DisposeAsync()
    {
        _directory.Delete(recursive: true);
        return ValueTask.CompletedTask;
    }

    [Fact]
    public async Task AcknowledgedChanges_WereFlushedBeforeTheirAnswers()
    {
        await using var proxy = await StartAsync();
        await using var s3 = new S3Wire(proxy.Endpoint, "bucket");
        await AnswersAfterAsync(() => s3.PutAsync("", []), [Log]);

        // The first body makes its folder, whose own name is in the one above.
        await AnswersAfterAsync(() => s3.PutAsync("/large", new byte[1 << 20]), [Body, Bodies, Folder, Log]);
        await AnswersAfterAsync(() => s3.PutAsync("/large", new byte[1 << 20]), [Body, Folder, Log]);
        await AnswersAfterAsync(() => s3.SendAsync(new WireRequest("PUT", "/bucket/chunked") { Body = new byte[1 << 20], Chunked = true }), [Body, Folder, Log]);
        var inline = await AnswersAfterAsync(() => s3.PutAsync("/small", new byte[100]), [Log]);
        Assert.DoesNotContain(inline, static line => line.Contains(Body, StringComparison.Ordinal));
        await AnswersAfterAsync(() => s3.PutAsync("/copy", [], ("x-amz-copy-source", "/bucket/large")), [Log]);

        var upload = await s3.CreateUploadAsync("/parts");
        string[] etags = ["", ""];
        for (var i = 0; i < etags.Length; i++)
        {
            var part = i;
            await AnswersAfterAsync(
                async () =>
                {
                    var answer = await s3.PutAsync($"/parts?partNumber={part + 1}&uploadId={upload}", new byte[5 << 20]);
                    etags[part] = answer.ETag!;
                    return answer;
                },
                [Body, Folder, Log]);
        }

        // The parts' bodies become the object's: nothing but the index changes.
        await AnswersAfterAsync(() => s3.CompleteAsync("/parts", upload, etags.Select(static (etag, i) => (i + 1, etag))), [Log]);
        await AnswersAfterAsync(() => s3.DeleteAsync("/parts"), [Log]);
        await AnswersAfterAsync(() => s3.DeleteAsync("/small"), [Log]);
    }

    /// <summary>What the others see is what the setting asks for, and not what something else flushes anyway.</summary>
    [Fact]
    public async Task FsyncOff_NothingOfTheStoreIsFlushed()
    {
        await using var proxy = await StartAsync("--set", "Local:Fsync=false");

        // A new index is flushed as it is made, before it is told not to be.
        var ready = TimeProvider.System.GetUtcNow();
        await using (var s3 = new S3Wire(proxy.Endpoint, "bucket"))
        {
            (await s3.PutAsync("", [])).Expect(200);
            (await s3.PutAsync("/large", new byte[1 << 20])).Expect(200);
            (await s3.PutAsync("/small", new byte[100])).Expect(200);
            (await s3.DeleteAsync("/large")).Expect(204);
        }

        var process = proxy.ProcessId;
        await proxy.StopAsync();
        var lines = await LinesAsync(lines => lines.Any(line => line.StartsWith($"{process} ", StringComparison.Ordinal) && line.Contains("+++ exited", StringComparison.Ordinal)));
        Assert.Contains(lines, static line => line.Contains("+++ exited", StringComparison.Ordinal));
        Assert.DoesNotContain(lines, line => CalledAt(line) >= ready && line.Contains("/store", StringComparison.Ordinal));
    }

    private async Task<ProxyProcess> StartAsync(params string[] arguments)
    {
        string[] how = ["-f", "-q", "-y", "-ttt", "--seccomp-bpf", "-e", "trace=fsync,fdatasync"];
        Assert.SkipUnless(
            await ToolProcess.SucceedsAsync("sh", "-c", "command -v strace") && await ToolProcess.SucceedsAsync("strace", [.. how, "-o", "/dev/null", "true"]),
            "strace is not installed, or may not trace here");
        return await ProxyProcess.StartAsync([.. arguments, "--nvme", "0"], launcher: ["strace", "-D", .. how, "-o", Trace]);
    }

    /// <returns>The flushes that began between the request and its answer.</returns>
    private async Task<IReadOnlyList<string>> AnswersAfterAsync(Func<Task<Answer>> change, string[] flushes)
    {
        var sent = TimeProvider.System.GetUtcNow();
        var answer = await change();
        var answered = TimeProvider.System.GetUtcNow();
        Assert.True(answer.Status is 200 or 204, answer.Text);

        // strace may write its lines later; the times in them are those of the calls.
        IEnumerable<string> Within(IEnumerable<string> lines) => lines.Where(line => CalledAt(line) is { } at && at >= sent.AddMilliseconds(-1) && at <= answered);
        var all = await LinesAsync(lines => flushes.All(flush => Within(lines).Any(line => line.Contains(flush, StringComparison.Ordinal))));
        List<string> within = [.. Within(all)];
        foreach (var flush in flushes)
        {
            Assert.True(within.Exists(line => line.Contains(flush, StringComparison.Ordinal)), $"no flush of {flush} from {sent:O} to {answered:O}:\n{string.Join('\n', all.TakeLast(20))}");
        }

        return within;
    }

    /// <summary>The trace when it is as it should be, or as it is after ten seconds.</summary>
    private async Task<IReadOnlyList<string>> LinesAsync(Func<IReadOnlyList<string>, bool> until)
    {
        for (var looks = 0; ; looks++)
        {
            IReadOnlyList<string> lines = await File.ReadAllLinesAsync(Trace);
            if (looks == 200 || until(lines))
            {
                return lines;
            }

            await Task.Delay(50);
        }
    }

    /// <returns>Null when the line is not a flush's: <c>thread seconds fsync(descriptor&lt;path&gt;) = 0</c>.</returns>
    private static DateTimeOffset? CalledAt(string line)
        => line.Split(' ', 3, StringSplitOptions.RemoveEmptyEntries) is [_, var time, var call] && (call.StartsWith("fsync(", StringComparison.Ordinal) || call.StartsWith("fdatasync(", StringComparison.Ordinal))
            && double.TryParse(time, CultureInfo.InvariantCulture, out var seconds) ? DateTimeOffset.UnixEpoch.AddSeconds(seconds) : null;
}
