using System.Security.Cryptography;

namespace Proxy.Server.Requests;

/// <summary>Request ids as S3 has them: 16 upper-case hex digits, unique in this process and unlikely to repeat across restarts.</summary>
internal static class RequestId
{
    private static readonly ulong Seed = BitConverter.ToUInt64(RandomNumberGenerator.GetBytes(8));
    private static ulong _count;

    public static string Next()
    {
        // An odd multiplier walks all 2^64 values without repeating and keeps neighbours apart.
        var value = Seed + (Interlocked.Increment(ref _count) * 0x9E3779B97F4A7C15);
        return string.Create(16, value, static (text, number) =>
        {
            for (var i = text.Length - 1; i >= 0; i--, number >>= 4)
            {
                text[i] = "0123456789ABCDEF"[(int)(number & 15)];
            }
        });
    }
}
