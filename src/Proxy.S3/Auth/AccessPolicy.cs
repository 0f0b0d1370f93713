using System.IO.Enumeration;

namespace Proxy.S3.Auth;

/// <summary>What a credential may do: a list of grants, any one of which is enough.</summary>
public sealed class AccessPolicy(IReadOnlyList<AccessGrant> grants)
{
    /// <summary>Everything, everywhere.</summary>
    public static AccessPolicy Full { get; } = new([new AccessGrant("*", "", ReadOnly: false)]);

    public IReadOnlyList<AccessGrant> Grants { get; } = grants;

    /// <summary>Whether a request on this key, or on a listing prefix given as <paramref name="key"/>, is allowed.</summary>
    public bool Allows(ReadOnlySpan<char> bucket, ReadOnlySpan<char> key, bool write)
    {
        // Index instead of enumerator: asked on every request.
        for (var i = 0; i < Grants.Count; i++)
        {
            if (Grants[i].Allows(bucket, key, write))
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>Whether something may be read in every bucket there is.</summary>
    public bool AllowsSomeOfAll => Grants.Any(static grant => grant.BucketPattern == "*");

    /// <summary>Whether anything in the bucket may be read: for HeadBucket, GetBucketLocation and which buckets ListBuckets names.</summary>
    public bool AllowsSomeOf(ReadOnlySpan<char> bucket)
    {
        for (var i = 0; i < Grants.Count; i++)
        {
            if (Grants[i].MatchesBucket(bucket))
            {
                return true;
            }
        }

        return false;
    }
}

/// <param name="BucketPattern">With <c>*</c> and <c>?</c>; <c>*</c> is every bucket.</param>
/// <param name="KeyPrefix">Keys that begin so; empty is every key, and only then the bucket itself may be created or deleted.</param>
/// <param name="ReadOnly">GET, HEAD and listings only.</param>
/// <remarks>A grant that does not cover everything covers no key with a segment <c>..</c>: a backend, or what stands before it, may fold that and so leave the prefix or the bucket.</remarks>
public sealed record AccessGrant(string BucketPattern, string KeyPrefix, bool ReadOnly)
{
    public bool Allows(ReadOnlySpan<char> bucket, ReadOnlySpan<char> key, bool write)
        => !(write && ReadOnly) && key.StartsWith(KeyPrefix, StringComparison.Ordinal) && MatchesBucket(bucket) && (IsUnlimited || !ClimbsOut(key));

    private bool IsUnlimited => BucketPattern == "*" && KeyPrefix.Length == 0;

    public bool MatchesBucket(ReadOnlySpan<char> bucket)
        => BucketPattern == "*" || FileSystemName.MatchesSimpleExpression(BucketPattern, bucket, ignoreCase: false);

    private static bool ClimbsOut(ReadOnlySpan<char> key)
    {
        for (var from = 0; key[from..].IndexOf("..", StringComparison.Ordinal) is >= 0 and var found; from += found + 1)
        {
            var (start, end) = (from + found, from + found + 2);
            if ((start == 0 || key[start - 1] == '/') && (end == key.Length || key[end] == '/'))
            {
                return true;
            }
        }

        return false;
    }
}
