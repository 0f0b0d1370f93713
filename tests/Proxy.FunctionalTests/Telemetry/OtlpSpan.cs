using System.Text;

namespace Proxy.FunctionalTests.Telemetry;

/// <summary>One span of an OTLP export, as far as the tests look: read from the protobuf of opentelemetry/proto/trace/v1/trace.proto.</summary>
/// <param name="Id">As <paramref name="Parent"/> and <paramref name="Trace"/>, lower-case hex.</param>
internal sealed record OtlpSpan(string Trace, string Id, string Parent, string Name)
{
    private const int LengthDelimited = 2;

    /// <summary>ExportTraceServiceRequest.resource_spans (1) → scope_spans (2) → spans (2).</summary>
    public static IReadOnlyList<OtlpSpan> Read(byte[] request) =>
        [.. Fields(request, 1).SelectMany(resource => Fields(resource, 2)).SelectMany(scope => Fields(scope, 2)).Select(span => new OtlpSpan(
            Hex(span, 1), Hex(span, 2), Hex(span, 4), Encoding.UTF8.GetString(Fields(span, 5).Single())))];

    private static string Hex(byte[] span, int field) => Convert.ToHexStringLower(Fields(span, field).SingleOrDefault() ?? []);

    /// <summary>The length-delimited fields of this number.</summary>
    private static List<byte[]> Fields(byte[] message, int number)
    {
        var found = new List<byte[]>();
        for (var at = 0; at < message.Length;)
        {
            var tag = Varint(message, ref at);
            switch (tag & 7)
            {
                case 0:
                    Varint(message, ref at);
                    break;
                case 1:
                    at += 8;
                    break;
                case 5:
                    at += 4;
                    break;
                case LengthDelimited:
                    var length = (int)Varint(message, ref at);
                    if ((int)(tag >> 3) == number)
                    {
                        found.Add(message[at..(at + length)]);
                    }

                    at += length;
                    break;
                default:
                    Assert.Fail($"wire type {tag & 7} at {at}");
                    break;
            }
        }

        return found;
    }

    private static ulong Varint(byte[] message, ref int at)
    {
        ulong value = 0;
        for (var shift = 0; ; shift += 7)
        {
            var part = message[at++];
            value |= (ulong)(part & 0x7f) << shift;
            if (part < 0x80)
            {
                return value;
            }
        }
    }
}
