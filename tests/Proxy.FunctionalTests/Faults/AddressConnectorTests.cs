using System.Net;
using System.Net.Sockets;
using Proxy.Backends.Remote;
using Proxy.FunctionalTests.Hosting;

namespace Proxy.FunctionalTests.Faults;

/// <summary>A name with several addresses, of which not all answer.</summary>
public sealed class AddressConnectorTests
{
    private static readonly IPAddress Silent = IPAddress.Parse("127.0.0.1");
    private static readonly IPAddress Good = IPAddress.Parse("127.0.0.2");
    private static readonly IPAddress Refusing = IPAddress.Parse("127.0.0.3");

    private readonly int _port = Loopback.FreePorts();

    [Fact]
    public async Task Connect_FirstAddressKeepsSilent_SecondIsTaken()
    {
        using var silent = new SilentListener(Silent, _port);
        using var good = Listen();
        var started = TimeProvider.System.GetTimestamp();
        await using var connection = await ConnectAsync(TimeSpan.FromSeconds(20), Silent, Good);
        Assert.InRange(TimeProvider.System.GetElapsedTime(started).TotalSeconds, 0.2, 10);
        Assert.Equal(Good, (await good.AcceptAsync()).LocalEndPoint is IPEndPoint at ? at.Address : null);
    }

    [Fact]
    public async Task Connect_FirstAddressRefuses_SecondIsTakenAtOnce()
    {
        using var good = Listen();
        await using var connection = await ConnectAsync(TimeSpan.FromSeconds(20), Refusing, Good);
        Assert.NotNull(await good.AcceptAsync());
    }

    [Fact]
    public async Task Connect_AllRefuse_SaysSo()
        => Assert.Equal(SocketError.ConnectionRefused, (await Assert.ThrowsAsync<SocketException>(() => ConnectAsync(TimeSpan.FromSeconds(20), Refusing, Good))).SocketErrorCode);

    [Fact]
    public async Task Connect_AllKeepSilent_EndsWithTheCallersPatience()
    {
        using var silent = new SilentListener(Silent, _port);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => ConnectAsync(TimeSpan.FromSeconds(1), Silent, Silent));
    }

    private async Task<Stream> ConnectAsync(TimeSpan patience, params IPAddress[] addresses)
    {
        using var stop = new CancellationTokenSource(patience);
        return await new AddressConnector((_, _) => Task.FromResult(addresses)).ConnectAsync(new DnsEndPoint("backend.test", _port), stop.Token);
    }

    private Socket Listen()
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        socket.Bind(new IPEndPoint(Good, _port));
        socket.Listen();
        return socket;
    }
}
