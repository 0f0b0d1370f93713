using System.Diagnostics;
using System.Globalization;
using System.Security.Cryptography;
using Microsoft.Extensions.Logging.Abstractions;
using Proxy.Backends.Local;
using Proxy.S3.Errors;
using Proxy.S3.Objects;

namespace Proxy.FunctionalTests.Durability;

/// <summary>A process writes to a local store and is killed; whatever it had acknowledged must be there, whole, and nothing half-written may show.</summary>
/// <remarks>LOCAL_STORE_KILLS sets how often (10 unless given). The child is this same test program, running only <see cref="Child_WritesUntilKilled"/>.</remarks>
public sealed class LocalStoreKillTests
{
    private const string DirectoryVariable = "LOCAL_STORE_KILL_DIRECTORY";
    private const string Bucket = "bucket";
    private const int Workers = 8;
    private const int KeysPerWorker = 12;

    [Fact]
    public async Task KillNine_AtAnyMoment_LosesNothingAcknowledged()
    {
        var rounds = int.TryParse(Environment.GetEnvironmentVariable("LOCAL_STORE_KILLS"), CultureInfo.InvariantCulture, out var asked) ? asked : 10;
        var root = Path.Combine(Path.GetTempPath(), "local-kill-" + Guid.NewGuid().ToString("n"));
        Directory.CreateDirectory(root);
        var random = new Random(1);
        try
        {
            long acknowledged = 0;
            for (var round = 0; round < rounds; round++)
            {
                await RunAndKillAsync(root, random.Next(100, 1000));
                acknowledged += await CheckAsync(root);
            }

            Assert.True(acknowledged > rounds * 20, $"Only {acknowledged} writes in {rounds} rounds: the test would show nothing.");
            TestContext.Current.TestOutputHelper?.WriteLine($"{rounds} kills, {acknowledged} acknowledged changes, none lost");
        }
        finally
        {
            Directory.Delete(root, recursive: true);
        }
    }

    [Fact(Explicit = true)]
    public async Task Child_WritesUntilKilled()
    {
        var root = Environment.GetEnvironmentVariable(DirectoryVariable);
        Assert.SkipWhen(root is null, $"the child process of {nameof(KillNine_AtAnyMoment_LosesNothingAcknowledged)}");

        await using var store = Open(root);
        await using var log = new FileStream(Path.Combine(root, "acknowledged"), FileMode.Create, FileAccess.Write, FileShare.Read, bufferSize: 0);
        if ((await store.ListBucketsAsync(default)).Count == 0)
        {
            await store.CreateBucketAsync(Bucket, default);
        }

        await Task.WhenAll(Enumerable.Range(0, Workers).Select(worker => Task.Run(async () =>
        {
            for (var step = 0; ; step++)
            {
                await ChangeAsync(store, worker, step);

                // Written to the kernel at once: the line outlives the process, as an answer on the wire would.
                var line = new byte[8];
                BitConverter.TryWriteBytes(line, worker);
                BitConverter.TryWriteBytes(line.AsSpan(4), step);
                lock (log)
                {
                    log.Write(line);
                }
            }
        })));
    }

    private static string Key(int worker, int step) => $"{worker}/{step * 7 % KeysPerWorker}";

    private static bool IsDelete(int step) => step % 11 == 10;

    /// <summary>Inline, one file, or several; the same for the same worker and step.</summary>
    private static byte[] Body(int worker, int step)
    {
        var random = new Random((worker * 1_000_003) + step);
        var bytes = new byte[random.Next(3) switch { 0 => random.Next(8, 16 << 10), 1 => random.Next(16 << 10, 64 << 10), _ => random.Next(64 << 10, 2 << 20) }];
        random.NextBytes(bytes);
        BitConverter.TryWriteBytes(bytes, worker);
        BitConverter.TryWriteBytes(bytes.AsSpan(4), step);
        return bytes;
    }

    private static async Task ChangeAsync(LocalObjectStore store, int worker, int step)
    {
        var id = new ObjectId(Bucket, Key(worker, step));
        if (IsDelete(step))
        {
            await store.DeleteObjectAsync(id, null, default);
            return;
        }

        var body = Body(worker, step);
        if (step % 3 != 0)
        {
            await store.PutObjectAsync(id, Content(body), new(), default);
            return;
        }

        var upload = await store.CreateMultipartUploadAsync(id, new(), default);
        var half = body.Length / 2;
        var parts = await Task.WhenAll(
            store.UploadPartAsync(id, upload, 1, Content(body[..half]), default).AsTask(), store.UploadPartAsync(id, upload, 2, Content(body[half..]), default).AsTask());
        await store.CompleteMultipartUploadAsync(id, upload, new() { Parts = [.. parts.Select(static part => new CompletedPart(part.Number, part.ETag, null))] }, default);
    }

    private static async Task RunAndKillAsync(string root, int milliseconds)
    {
        var log = Path.Combine(root, "acknowledged");
        File.Delete(log);
        var start = new ProcessStartInfo(Environment.ProcessPath!) { UseShellExecute = false, RedirectStandardOutput = true, RedirectStandardError = true };
        if (Path.GetFileNameWithoutExtension(start.FileName) == "dotnet")
        {
            start.ArgumentList.Add(typeof(LocalStoreKillTests).Assembly.Location);
        }

        foreach (var argument in new[] { "-method", $"{typeof(LocalStoreKillTests).FullName}.{nameof(Child_WritesUntilKilled)}", "-explicit", "only" })
        {
            start.ArgumentList.Add(argument);
        }

        start.Environment[DirectoryVariable] = root;
        using var child = Process.Start(start)!;
        var output = child.StandardOutput.ReadToEndAsync();
        try
        {
            // The first acknowledgement starts the clock; from there on the moment of the kill is random.
            var patience = Stopwatch.StartNew();
            while (!File.Exists(log) || new FileInfo(log).Length == 0)
            {
                Assert.False(child.HasExited, child.HasExited ? await output : "");
                Assert.True(patience.Elapsed < TimeSpan.FromSeconds(60), "The child writes nothing.");
                await Task.Delay(10);
            }

            await Task.Delay(milliseconds);
        }
        finally
        {
            child.Kill();
            await child.WaitForExitAsync();
        }
    }

    private static async Task<int> CheckAsync(string root)
    {
        var log = await File.ReadAllBytesAsync(Path.Combine(root, "acknowledged"));
        var last = Enumerable.Repeat(-1, Workers).ToArray();
        var lines = log.Length / 8;
        for (var i = 0; i < lines; i++)
        {
            last[BitConverter.ToInt32(log, i * 8)] = BitConverter.ToInt32(log, (i * 8) + 4);
        }

        var opening = Stopwatch.StartNew();
        await using (var store = Open(root))
        {
            Assert.True(opening.Elapsed < TimeSpan.FromSeconds(5), $"Opening took {opening.Elapsed}");
            for (var worker = 0; worker < Workers; worker++)
            {
                for (var slot = 0; slot < KeysPerWorker; slot++)
                {
                    await CheckKeyAsync(store, worker, $"{worker}/{slot}", last[worker]);
                }
            }

            // Everything goes: what is left on disk then is what the store lost track of.
            foreach (var listed in (await store.ListObjectsAsync(Bucket, new(), default)).Objects)
            {
                await store.DeleteObjectAsync(new(Bucket, listed.Key), null, default);
            }

            foreach (var upload in (await store.ListMultipartUploadsAsync(Bucket, new(), default)).Uploads)
            {
                await store.AbortMultipartUploadAsync(new(Bucket, upload.Key), upload.UploadId, default);
            }

            await store.Janitor.Swept;
        }

        Assert.Empty(Directory.GetFiles(Path.Combine(root, "store", "bodies"), "*", SearchOption.AllDirectories));
        return lines;
    }

    private static async Task CheckKeyAsync(LocalObjectStore store, int worker, string key, int last)
    {
        var acknowledged = Enumerable.Range(0, last + 1).LastOrDefault(step => Key(worker, step) == key, -1);
        var inFlight = Key(worker, last + 1) == key ? last + 1 : -1;
        int found;
        try
        {
            await using var body = await store.GetObjectAsync(new(Bucket, key), ObjectReadOptions.Whole, default);
            var copy = new MemoryStream();
            await body.Content.CopyToAsync(copy);
            var bytes = copy.ToArray();
            found = BitConverter.ToInt32(bytes, 4);
            Assert.Equal(SHA256.HashData(Body(worker, found)), SHA256.HashData(bytes));
        }
        catch (S3Exception e) when (e.Code == S3ErrorCode.NoSuchKey)
        {
            var mayBeGone = acknowledged < 0 || IsDelete(acknowledged) || (inFlight >= 0 && IsDelete(inFlight));
            Assert.True(mayBeGone, $"{key} is lost: step {acknowledged} was acknowledged");
            return;
        }

        Assert.True(found == inFlight || (found == acknowledged && !IsDelete(acknowledged)), $"{key} holds step {found}; acknowledged {acknowledged}, in flight {inFlight}");
    }

    private static LocalObjectStore Open(string root) => LocalObjectStore.Open(
        new LocalOptions { Directory = Path.Combine(root, "store"), MinPartSize = 0, InlineBytes = 16 << 10 }, TimeProvider.System, NullLoggerFactory.Instance);

    private static UploadContent Content(byte[] bytes) => new(new MemoryStream(bytes), bytes.Length, static () => null);
}
