using System.Buffers;
using System.Globalization;
using System.Net;
using System.Text.Encodings.Web;
using System.Text.Json;
using Proxy.Cache;
using Proxy.Cache.Policy;
using Proxy.S3.Requests;

namespace Proxy.Server.Telemetry;

/// <summary>One finished request: what its counters, its access line and its span are all made from. Taken on the request's thread without allocating.</summary>
internal readonly record struct RequestRecord
{
    // Keys are shown as they are; the writer still escapes what would break a line.
    private static readonly JsonWriterOptions Relaxed = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    public required IPAddress? Client { get; init; }

    /// <summary>Access key id; null for a request that was not authenticated.</summary>
    public required string? User { get; init; }

    public required string Method { get; init; }

    public required S3Operation Operation { get; init; }

    public required S3Target Target { get; init; }

    /// <summary>The Range header as it came; null when there was none.</summary>
    public string? Range { get; init; }

    public required int Status { get; init; }

    public required string? ErrorCode { get; init; }

    /// <summary>How an object read was answered; null for everything else, and for errors.</summary>
    public required CacheOutcome? Outcome { get; init; }

    /// <summary>What of Milvus's was read; meaningless without <see cref="Outcome"/>.</summary>
    public required MilvusKind Kind { get; init; }

    public required long BytesSent { get; init; }

    public required long BytesReceived { get; init; }

    /// <summary>Of an object read's bytes, those that no backend had to send for it; null is <see cref="BytesSent"/>: all lay in memory.</summary>
    public long? CachedBytes { get; init; }

    public required TimeSpan Duration { get; init; }

    /// <summary>From the request's head to the answer's; the whole duration where nobody took it.</summary>
    public required TimeSpan FirstByte { get; init; }

    /// <summary>Waited for the backend before the answer's head could go.</summary>
    public required TimeSpan Backend { get; init; }

    public required string RequestId { get; init; }

    /// <summary>One line of JSON with its line end. Times are milliseconds; what a request does not have is left out.</summary>
    /// <param name="time">When it ended.</param>
    public void Write(IBufferWriter<byte> output, DateTimeOffset time)
    {
        using (var json = new Utf8JsonWriter(output, Relaxed))
        {
            json.WriteStartObject();
            Span<byte> utc = stackalloc byte[24];
            time.UtcDateTime.TryFormat(utc, out var length, "yyyy-MM-ddTHH:mm:ss.fffZ", CultureInfo.InvariantCulture);
            json.WriteString("time"u8, utc[..length]);
            json.WriteString("client"u8, Client is null ? "" : (Client.IsIPv4MappedToIPv6 ? Client.MapToIPv4() : Client).ToString());
            WriteIfAny(json, "user"u8, User);
            json.WriteString("method"u8, Method);
            json.WriteString("operation"u8, Operation.ToString());
            if (Target.RawTarget is not null)
            {
                if (Target.HasBucket)
                {
                    json.WriteString("bucket"u8, Target.BucketSpan);
                }

                if (Target.HasKey)
                {
                    json.WriteString("key"u8, Target.KeySpan);
                }
            }

            WriteIfAny(json, "range"u8, Range);
            json.WriteNumber("status"u8, Status);
            WriteIfAny(json, "error"u8, ErrorCode);
            json.WriteNumber("bytes"u8, BytesSent);
            if (BytesReceived > 0)
            {
                json.WriteNumber("received"u8, BytesReceived);
            }

            json.WriteNumber("duration_ms"u8, Milliseconds(Duration));
            json.WriteNumber("ttfb_ms"u8, Milliseconds(FirstByte));
            if (Outcome is { } outcome)
            {
                json.WriteString("x_cache"u8, XCache.Of(outcome));
            }

            json.WriteNumber("backend_ms"u8, Milliseconds(Backend));
            json.WriteString("request_id"u8, RequestId);
            json.WriteEndObject();
        }

        output.Write("\n"u8);
    }

    /// <summary><c>/bucket/key</c>, for people; allocates.</summary>
    public string Resource => Target.RawTarget is null ? "" : Target.HasKey ? $"/{Target.Bucket}/{Target.Key}" : Target.HasBucket ? $"/{Target.Bucket}" : "/";

    private static void WriteIfAny(Utf8JsonWriter json, ReadOnlySpan<byte> name, string? value)
    {
        if (value is not null)
        {
            json.WriteString(name, value);
        }
    }

    private static double Milliseconds(TimeSpan time) => Math.Round(time.TotalMilliseconds, 3);
}
