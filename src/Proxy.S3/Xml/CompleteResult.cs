using Proxy.S3.Errors;

namespace Proxy.S3.Xml;

/// <summary>A backend's answer to CompleteMultipartUpload.</summary>
public static class CompleteResult
{
    /// <summary>The new object's ETag, with quotes.</summary>
    /// <returns>False when there is none to rely on: another document, or an empty ETag (radosgw 16 answers so).</returns>
    public static bool TryReadETag(ReadOnlyMemory<byte> body, out string etag)
    {
        etag = "";
        try
        {
            using var input = XmlInput.Open(body, MaxBytes, "CompleteMultipartUploadResult");
            while (input.NextChild(1, out var name))
            {
                if (name == "ETag")
                {
                    etag = input.ReadText(256).Trim();
                }
                else
                {
                    input.Skip();
                }
            }
        }
        catch (S3Exception)
        {
            return false;
        }

        if (etag.Trim('"').Length == 0)
        {
            return false;
        }

        etag = etag.StartsWith('"') ? etag : $"\"{etag}\"";
        return true;
    }

    private const int MaxBytes = 64 << 10;
}
