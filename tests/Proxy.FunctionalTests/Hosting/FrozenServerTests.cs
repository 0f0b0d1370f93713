using Proxy.FunctionalTests.Operations.Wire;
using Proxy.Server.Transport;

namespace Proxy.FunctionalTests.Hosting;

/// <summary>A process that was stopped for longer than its clients may stall (SIGSTOP, a pause of the virtual machine) has no stalled clients for it.</summary>
public sealed class FrozenServerTests
{
    private const string Key = "/files/insert_log/1/2/3/4/5";
    private const int Bytes = 16 << 20;
    private static readonly TimeSpan StallTimeout = TimeSpan.FromSeconds(5); // the least there may be

    [Fact]
    public async Task Download_ThatWaitedWhileTheServerWasStopped_GoesOn()
    {
        Assert.SkipUnless(SocketTransport.IsSupported, "the transport is 64-bit Linux's");
        await using var proxy = await ProxyProcess.StartAsync(["--nvme", "0", "--set", $"S3:StallTimeout={StallTimeout}"]);
        await using var s3 = new S3Wire(proxy.Endpoint, "bucket");
        (await s3.SendAsync("PUT", "")).Expect(200);
        (await s3.PutAsync(Key, new byte[Bytes])).Expect(200);
        (await s3.GetAsync(Key)).Expect(200);
        await using var connection = await WireConnection.OpenAsync(proxy.Endpoint, receiveBufferBytes: 4096);
        await connection.WriteAsync(s3.Encode(new WireRequest("GET", "/bucket" + Key)).Head);
        await connection.HasBegunAsync();
        await Task.Delay(1000); // by now the socket is full and the answer waits
        proxy.Freeze();
        await Task.Delay(StallTimeout + TimeSpan.FromSeconds(2));
        proxy.Thaw();
        Assert.Equal(Bytes, (await connection.ReadAnswerAsync()).Expect(200).Body.Length);

        // Who stalls now is left as before.
        await connection.WriteAsync(s3.Encode(new WireRequest("GET", "/bucket" + Key)).Head);
        await connection.HasBegunAsync();
        await Task.Delay(StallTimeout * 2);
        await Assert.ThrowsAnyAsync<IOException>(() => connection.ReadAnswerAsync());
    }
}
