using System.Buffers;
using System.Buffers.Text;
using System.Text;
using Proxy.S3.Errors;

namespace Proxy.S3.Xml;

/// <summary>How names travel in listings: <c>encoding-type=url</c> and continuation tokens.</summary>
public static class ListingNames
{
    // What S3 keeps; a space is %20, which every decoder reads as one, and not all do a plus.
    private static readonly SearchValues<byte> Kept = SearchValues.Create("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._/*"u8);

    // Longer ones cannot be ours: base64 of a 1024-byte name.
    private const int MaxTokenLength = 1400;

    public static string UrlEncode(string name)
    {
        var bytes = Encoding.UTF8.GetBytes(name);
        if (!bytes.AsSpan().ContainsAnyExcept(Kept))
        {
            return name;
        }

        var text = new StringBuilder(bytes.Length + 16);
        foreach (var b in bytes)
        {
            if (Kept.Contains(b))
            {
                text.Append((char)b);
            }
            else
            {
                text.Append('%').Append("0123456789ABCDEF"[b >> 4]).Append("0123456789ABCDEF"[b & 15]);
            }
        }

        return text.ToString();
    }

    /// <summary>The token of a page's last name: opaque to clients, and of no use to them for anything else.</summary>
    public static string ToContinuationToken(string after) => Base64Url.EncodeToString(Encoding.UTF8.GetBytes(after));

    /// <summary>The name a token stands for.</summary>
    /// <exception cref="S3Exception">InvalidArgument 400 for anything but a token of ours.</exception>
    public static string FromContinuationToken(string token)
    {
        if (token.Length is > 0 and <= MaxTokenLength && Base64Url.IsValid(token, out _))
        {
            var bytes = Base64Url.DecodeFromChars(token);
            if (System.Text.Unicode.Utf8.IsValid(bytes))
            {
                return Encoding.UTF8.GetString(bytes);
            }
        }

        throw new S3Exception(S3ErrorCode.InvalidArgument, message: "The continuation token provided is incorrect")
        {
            Details = [new("ArgumentName", "continuation-token")],
        };
    }
}
