using System.Collections.Concurrent;
using Microsoft.AspNetCore.Http;
using Proxy.FunctionalTests.Operations.Wire;
using Proxy.S3.Requests;
using Proxy.Server.Operations;
using Proxy.Server.Operations.Spanning;
using Proxy.Server.Requests;
using Proxy.Server.Transport;

namespace Proxy.FunctionalTests.Hosting;

/// <summary>Which changes stay on the thread of the loop that saw them, where nobody else waits for it.</summary>
public sealed class ChangeThreadTests
{
    [Theory]
    [InlineData("PUT")]
    [InlineData("DELETE")]
    public Task SmallChange_OfARemoteBackend_Stays(string method) => ExpectAsync(new WireRequest(method, "/bucket/key"), isRemote: true, stays: true);

    /// <summary>What stands in its query may yet make it a copy from our own store's files.</summary>
    [Theory]
    [InlineData("PUT")]
    [InlineData("DELETE")]
    public Task PresignedChange_OfARemoteBackend_Leaves(string method) => ExpectAsync(new WireRequest(method, "/bucket/key") { Signing = Signing.Presigned }, isRemote: true, stays: false);

    [Fact]
    public Task LargePut_OfARemoteBackend_Leaves() => ExpectAsync(new WireRequest("PUT", "/bucket/key") { Body = new byte[100_000] }, isRemote: true, stays: false);

    /// <summary>It flushes to a disk.</summary>
    [Theory]
    [InlineData("PUT")]
    [InlineData("DELETE")]
    public Task SmallChange_OfTheLocalStore_Leaves(string method) => ExpectAsync(new WireRequest(method, "/bucket/key"), isRemote: false, stays: false);

    private static async Task ExpectAsync(WireRequest request, bool isRemote, bool stays)
    {
        Assert.SkipUnless(SocketTransport.IsSupported, "the transport is 64-bit Linux's");
        var witness = new Witness();
        await using var server = await ServerInProcess.StartAsync(isRemote, operations: router => new OperationTable(
            router, witness, witness, new Dictionary<S3Operation, ISpanningOperation>(), [(S3Operation.PutObject, Access.Write, witness), (S3Operation.DeleteObject, Access.Write, witness)]));
        await using var s3 = new S3Wire(server.Endpoint, "bucket");
        for (var i = 0; i < 4; i++)
        {
            (await s3.SendAsync(request)).Expect(200);
            await Task.Delay(50); // what is waited for begins on the loop's thread
        }

        // The first may have come before its connection was read for the first time, by whoever took it.
        Assert.Equal(Enumerable.Repeat(stays, 3), witness.Stayed.Skip(1));
    }

    /// <summary>Answers with nothing, and notes on what thread.</summary>
    private sealed class Witness : IOperation
    {
        public ConcurrentQueue<bool> Stayed { get; } = new();

        public ValueTask AnswerAsync(S3Request request)
        {
            Stayed.Enqueue(!Thread.CurrentThread.IsThreadPoolThread);
            request.Response.StatusCode = StatusCodes.Status200OK;
            return ValueTask.CompletedTask;
        }
    }
}
