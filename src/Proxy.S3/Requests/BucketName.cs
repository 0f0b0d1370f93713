namespace Proxy.S3.Requests;

/// <summary>The rules of bucket names: S3's for creating one, wider ones for speaking of one that exists.</summary>
public static class BucketName
{
    /// <summary>
    /// S3 User Guide, "General purpose bucket naming rules": 3 to 63 of a-z 0-9 . -, beginning and ending with a letter or digit, so does each
    /// of its labels between dots (what DNS asks for, and MinIO and Ceph with it), not an IPv4 address, none of the reserved prefixes and suffixes.
    /// </summary>
    public static bool IsValidToCreate(ReadOnlySpan<char> name)
    {
        if (name.Length is < 3 or > 63 || !char.IsAsciiLetterOrDigit(name[0]) || !char.IsAsciiLetterOrDigit(name[^1]))
        {
            return false;
        }

        var dots = 0;
        var onlyDigits = true;
        for (var i = 0; i < name.Length; i++)
        {
            var c = name[i];
            switch (c)
            {
                case >= 'a' and <= 'z' or '-':
                    onlyDigits = false;
                    break;
                case >= '0' and <= '9':
                    break;
                case '.' when name[i - 1] is not ('.' or '-') && name[i + 1] is not '-':
                    dots++;
                    break;
                default:
                    return false;
            }
        }

        if (onlyDigits && dots == 3)
        {
            return false;
        }

        return !name.StartsWith("xn--") && !name.StartsWith("sthree-") && !name.StartsWith("amzn-s3-demo-")
            && !name.EndsWith("-s3alias") && !name.EndsWith("--ol-s3") && !name.EndsWith(".mrap") && !name.EndsWith("--x-s3") && !name.EndsWith("--table-s3");
    }

    /// <summary>
    /// What a request may name: 1 to 255 of letters, digits and <c>. - _ :</c> (old us-east-1 names; Ceph's tenant:bucket), never <c>.</c> or <c>..</c>.
    /// </summary>
    public static bool IsValidToAccess(ReadOnlySpan<char> name)
        => name.Length is >= 1 and <= 255 && !name.ContainsAnyExcept(AccessCharacters) && name is not ("." or "..");

    private static readonly System.Buffers.SearchValues<char> AccessCharacters =
        System.Buffers.SearchValues.Create("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-_:");
}
