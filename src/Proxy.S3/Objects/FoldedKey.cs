namespace Proxy.S3.Objects;

/// <summary>The key that is meant where a store, or what stands before it, takes keys for paths: without empty segments, <c>.</c> and <c>..</c>.</summary>
/// <remarks>To MinIO <c>/a</c> is <c>a</c>, and to SeaweedFS <c>a//b</c> is <c>a/b</c>; to most stores they are two keys.</remarks>
public static class FoldedKey
{
    /// <param name="climbsOut">Whether it leads out of its bucket; what is given then begins at the bucket again.</param>
    public static string Of(string key, out bool climbsOut)
    {
        climbsOut = false;
        var folded = new List<string>();
        foreach (var segment in key.Split('/'))
        {
            if (segment is "" or ".")
            {
                continue;
            }

            if (segment != "..")
            {
                folded.Add(segment);
            }
            else if (folded.Count > 0)
            {
                folded.RemoveAt(folded.Count - 1);
            }
            else
            {
                climbsOut = true;
            }
        }

        return string.Join('/', folded) + (key.EndsWith('/') ? "/" : "");
    }

    /// <returns>False when it is the key itself, or nothing.</returns>
    public static bool TryFold(string key, out string folded)
    {
        // Nearly all keys have nothing of the kind.
        var mayDiffer = key.StartsWith('/') || key.StartsWith('.') || key.Contains("//", StringComparison.Ordinal) || key.Contains("/.", StringComparison.Ordinal);
        folded = mayDiffer ? Of(key, out _) : key;
        return folded.Length > 0 && folded != key;
    }
}
