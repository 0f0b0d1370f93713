using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;
using Proxy.Bench.Workloads;

namespace Proxy.Bench.Trace;

/// <summary>One read of a trace: when, of what, which bytes. No data, no client, no key of a user.</summary>
/// <remarks>JSON lines with the names of the proxy's access log, so that a log is a trace; <c>record</c> only keeps what a replay needs.</remarks>
internal sealed record TraceLine
{
    private static readonly JsonSerializerOptions Json = new() { DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull };

    [JsonPropertyName("time")]
    public DateTimeOffset Time { get; init; }

    [JsonPropertyName("method")]
    public string Method { get; init; } = "";

    [JsonPropertyName("bucket")]
    public string? Bucket { get; init; }

    [JsonPropertyName("key")]
    public string? Key { get; init; }

    /// <summary>The Range header as the client sent it.</summary>
    [JsonPropertyName("range")]
    public string? Range { get; init; }

    [JsonPropertyName("status")]
    public int Status { get; init; }

    /// <summary>Of the answer's body.</summary>
    [JsonPropertyName("bytes")]
    public long Bytes { get; init; }

    /// <summary>Reads that succeeded, in order of time; other lines of a log are passed over.</summary>
    /// <exception cref="RunFailedException">A line is not JSON; the message has its number.</exception>
    public static async Task<IReadOnlyList<TraceLine>> ReadAsync(FileInfo file, CancellationToken cancellation)
    {
        var lines = new List<TraceLine>();
        var number = 0;
        await foreach (var text in File.ReadLinesAsync(file.FullName, cancellation))
        {
            number++;
            try
            {
                var line = JsonSerializer.Deserialize<TraceLine>(text);
                if (line is { Method: "GET" or "HEAD", Bucket: not null, Key: not null, Status: 200 or 206 })
                {
                    lines.Add(line);
                }
            }
            catch (JsonException error)
            {
                throw new RunFailedException(string.Create(CultureInfo.InvariantCulture, $"{file.Name} line {number} is not a line of an access log: {error.Message}"));
            }
        }

        return [.. lines.OrderBy(line => line.Time)];
    }

    public static Task WriteAsync(FileInfo file, IEnumerable<TraceLine> lines, CancellationToken cancellation)
        => File.WriteAllLinesAsync(file.FullName, lines.Select(line => JsonSerializer.Serialize(line, Json)), cancellation);
}
