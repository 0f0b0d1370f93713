using Proxy.FunctionalTests.Backends;
using Proxy.FunctionalTests.Hosting;
using Proxy.FunctionalTests.Operations.Wire;

namespace Proxy.FunctionalTests.Durability;

/// <summary>The local store on a disk that gets full: clients are told to delete objects, so that has to work.</summary>
public sealed class FullDiskTests
{
    private const int DiskBytes = 96 << 20;

    [Fact]
    public async Task InlinePuts_UntilTheyAreRefused_LeaveRoomForDeletes()
    {
        var folder = Directory.CreateTempSubdirectory("full-disk-").FullName;
        await using var proxy = await ProxyProcess.StartAsync(["--nvme", "0"], launcher: await OwnMounts.SmallDiskAsync(folder, DiskBytes), fileSystem: folder);
        await using var s3 = new S3Wire(proxy.Endpoint, "a-bucket");
        (await s3.PutAsync("", "")).Expect(200);
        var body = SeveralBackendsTests.MakeBytes(60 << 10);
        var stored = 0;
        var answer = await s3.PutAsync($"/{stored}", body);
        while (answer.Status == 200)
        {
            answer = await s3.PutAsync($"/{++stored}", body);
        }

        answer.Expect(503, "SlowDown");
        Assert.InRange((long)stored * body.Length, DiskBytes / 3, DiskBytes);
        (await s3.PutAsync("/large", new byte[200_000])).Expect(503, "SlowDown");
        var upload = await s3.CreateUploadAsync("/parts");
        (await s3.PutAsync($"/parts?partNumber=1&uploadId={upload}", body)).Expect(503, "SlowDown");
        for (var i = 0; i < stored; i++)
        {
            (await s3.DeleteAsync($"/{i}")).Expect(204);
        }

        // The index keeps the room of what it held; small objects get it back.
        for (var i = 0; i < stored / 2; i++)
        {
            (await s3.PutAsync($"/again/{i}", body)).Expect(200);
        }

        Assert.Equal(body, (await s3.GetAsync("/again/0")).Expect(200).Body);
        (await s3.GetAsync("/0")).Expect(404, "NoSuchKey");
    }
}
