using System.Buffers.Text;
using System.ComponentModel;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using System.Text;
using Microsoft.Win32.SafeHandles;
using Proxy.Bench.Load;
using Proxy.Bench.Workloads;

namespace Proxy.Bench.Peers;

/// <summary>Serves objects from memory on one epoll thread a core, verifying nothing: the least a server can do for an answer.</summary>
/// <remarks>Only what the load generator asks for is understood: GET and HEAD of the comparison's keys, with at most one range. Plain http, Linux.</remarks>
/// <param name="copiesNothing">Bodies lie in files, in the page cache, and leave by sendfile(2).</param>
internal sealed unsafe class CeilingLoop(int port, IReadOnlyList<DatasetObject> objects, bool copiesNothing, CancellationToken cancellation)
{
    private const int RequestBytes = 8 << 10;
    private const int EpollOut = 4;
    private const int EpollModify = 3;
    private const int SendBufferBytes = 256 << 10;

    private readonly byte[][] _bodies = copiesNothing ? [] : [.. objects.Select(Fill)];
    private readonly SafeFileHandle[] _files = copiesNothing ? [.. objects.Select(FillFile)] : [];

    public void Run()
    {
        var threads = Enumerable.Range(0, Environment.ProcessorCount).Select(_ => new Thread(Serve) { IsBackground = true }).ToList();
        threads.ForEach(thread => thread.Start());
        cancellation.WaitHandle.WaitOne();
    }

    private static byte[] Fill(DatasetObject item)
    {
        var bytes = GC.AllocateUninitializedArray<byte>((int)item.Size, pinned: true);
        item.Content.Fill(bytes, 0);
        return bytes;
    }

    private static SafeFileHandle FillFile(DatasetObject item)
    {
        var file = File.OpenHandle(Path.Combine(Path.GetTempPath(), Path.GetRandomFileName()), FileMode.CreateNew, FileAccess.ReadWrite, FileShare.None, FileOptions.DeleteOnClose);
        RandomAccess.Write(file, Fill(item), 0);
        return file;
    }

    private void Serve()
    {
        using var listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        // SO_REUSEPORT (15 on Linux, level SOL_SOCKET 1): each thread has a queue of its own.
        listener.SetRawSocketOption(1, 15, BitConverter.GetBytes(1));
        listener.Bind(new IPEndPoint(IPAddress.Loopback, port));
        listener.Listen(1024);
        var epoll = Native.EpollCreate(0);
        var connections = new Dictionary<int, Connection>();
        Control(epoll, Native.EpollAdd, (int)listener.SafeHandle.DangerousGetHandle(), 0, Native.EpollIn);
        var events = stackalloc byte[256 * 16];
        while (!cancellation.IsCancellationRequested)
        {
            var count = Native.EpollWait(epoll, events, 256, 100);
            for (var i = 0; i < count; i++)
            {
                var id = (int)*(long*)(events + (i * Native.EventBytes) + Native.EventDataOffset);
                if (id == 0)
                {
                    var socket = listener.Accept();
                    socket.NoDelay = true;
                    socket.Blocking = false; // sendfile(2) cannot be told call by call

                    // As the proxy does for clients nearby: more than the processor's caches hold is no ceiling.
                    socket.SendBufferSize = SendBufferBytes;
                    var connection = new Connection(socket, connections.Count + 1);
                    connections[connection.Id] = connection;
                    Control(epoll, Native.EpollAdd, connection.Descriptor, connection.Id, Native.EpollIn);
                }
                else if (connections[id] is { IsClosed: false } connection && !Advance(epoll, connection))
                {
                    connection.Close();
                }
            }
        }
    }

    /// <returns>False when the client is gone.</returns>
    private bool Advance(int epoll, Connection connection)
    {
        if (connection.Left == 0)
        {
            fixed (byte* start = &connection.Request[connection.Received])
            {
                var read = (int)Native.Receive(connection.Descriptor, start, (nuint)(RequestBytes - connection.Received), Native.DontWait);
                if (read <= 0)
                {
                    return read < 0 && Marshal.GetLastPInvokeError() == Native.WouldBlock;
                }

                connection.Received += read;
            }

            var request = connection.Request.AsSpan(0, connection.Received);
            if (!request.EndsWith("\r\n\r\n"u8))
            {
                return true;
            }

            connection.Received = 0;
            Answer(connection, request);
        }

        var isAllOut = Send(connection);
        if (isAllOut == connection.WaitsForRoom)
        {
            connection.WaitsForRoom = !isAllOut;
            Control(epoll, EpollModify, connection.Descriptor, connection.Id, isAllOut ? Native.EpollIn : EpollOut);
        }

        return true;
    }

    private void Answer(Connection connection, ReadOnlySpan<byte> request)
    {
        var line = request[..request.IndexOf((byte)'\r')];
        var path = line[(line.IndexOf((byte)' ') + 1)..line.LastIndexOf((byte)' ')];
        _ = Utf8Parser.TryParse(path[(path.LastIndexOf((byte)'_') + 1)..], out int index, out _);
        var size = objects[index].Size;
        var (start, length) = (0L, size);
        var range = request.IndexOf("\r\nRange: bytes="u8);
        if (range >= 0)
        {
            var text = request[(range + 15)..];
            _ = Utf8Parser.TryParse(text, out start, out var digits);
            _ = Utf8Parser.TryParse(text[(digits + 1)..], out long end, out _);
            length = end - start + 1;
        }

        var head = range >= 0
            ? string.Create(CultureInfo.InvariantCulture, $"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes {start}-{start + length - 1}/{size}\r\nETag: \"0\"\r\nContent-Length: {length}\r\n\r\n")
            : string.Create(CultureInfo.InvariantCulture, $"HTTP/1.1 200 OK\r\nETag: \"0\"\r\nContent-Length: {length}\r\n\r\n");
        connection.HeadLength = Encoding.ASCII.GetBytes(head, connection.Head);
        (connection.Index, connection.Start) = (index, start);
        connection.Left = request.StartsWith("HEAD"u8) ? 0 : length;
        connection.IsHeadDue = true;
    }

    private bool Send(Connection connection)
    {
        const int more = 0x8000;    // MSG_MORE: the head leaves with the body's first bytes
        if (connection.IsHeadDue)
        {
            connection.IsHeadDue = false;
            fixed (byte* start = connection.Head)
            {
                _ = Native.Send(connection.Descriptor, start, (nuint)connection.HeadLength, Native.DontWait | Native.NoSignal | (connection.Left > 0 ? more : 0));
            }
        }

        while (connection.Left > 0)
        {
            var sent = copiesNothing ? SendFile(connection) : SendBytes(connection);
            if (sent <= 0)
            {
                return false;
            }

            connection.Start += sent;
            connection.Left -= sent;
        }

        return true;
    }

    private nint SendBytes(Connection connection)
    {
        fixed (byte* start = &_bodies[connection.Index][connection.Start])
        {
            return Native.Send(connection.Descriptor, start, (nuint)connection.Left, Native.DontWait | Native.NoSignal);
        }
    }

    private nint SendFile(Connection connection)
    {
        var offset = connection.Start;
        return Native.SendFile(connection.Descriptor, _files[connection.Index], &offset, (nuint)connection.Left);
    }

    private static void Control(int epoll, int operation, int descriptor, int id, int interest)
    {
        var description = stackalloc byte[16];
        *(int*)description = interest;
        *(long*)(description + Native.EventDataOffset) = id;
        if (Native.EpollControl(epoll, operation, descriptor, description) != 0)
        {
            throw new Win32Exception(Marshal.GetLastPInvokeError());
        }
    }

    private sealed class Connection(Socket socket, int id)
    {
        public int Id => id;

        public int Descriptor { get; } = (int)socket.SafeHandle.DangerousGetHandle();

        public byte[] Request { get; } = GC.AllocateUninitializedArray<byte>(RequestBytes, pinned: true);

        public byte[] Head { get; } = GC.AllocateUninitializedArray<byte>(512, pinned: true);

        public int Received { get; set; }

        public int HeadLength { get; set; }

        public bool IsHeadDue { get; set; }

        public bool WaitsForRoom { get; set; }

        public bool IsClosed { get; private set; }

        /// <summary>The object that is sent; from <see cref="Start"/> on, <see cref="Left"/> bytes.</summary>
        public int Index { get; set; }

        public long Start { get; set; }

        public long Left { get; set; }

        public void Close()
        {
            IsClosed = true;
            socket.Dispose();
        }
    }
}
