using System.IO.Enumeration;
using Proxy.S3.Objects;

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

    /// <summary>As <see cref="Allows"/>; of a key with <c>..</c> it must hold also for the key that is meant where a store, or what stands before it, folds paths as those of files.</summary>
    /// <remarks>What climbs out of its bucket is for those alone who may do everything.</remarks>
    public bool AllowsFolded(string bucket, string key, bool write)
    {
        if (!Allows(bucket, key, write))
        {
            return false;
        }

        if (!key.Contains("..", StringComparison.Ordinal))
        {
            return true;
        }

        var folded = FoldedKey.Of(key, out var climbsOut);
        return climbsOut ? Grants.Any(grant => grant is { BucketPattern: "*", KeyPrefix: "" } && !(write && grant.ReadOnly)) : Allows(bucket, folded, write);
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
public sealed record AccessGrant(string BucketPattern, string KeyPrefix, bool ReadOnly)
{
    public bool Allows(ReadOnlySpan<char> bucket, ReadOnlySpan<char> key, bool write)
        => !(write && ReadOnly) && key.StartsWith(KeyPrefix, StringComparison.Ordinal) && MatchesBucket(bucket);

    public bool MatchesBucket(ReadOnlySpan<char> bucket)
        => BucketPattern == "*" || FileSystemName.MatchesSimpleExpression(BucketPattern, bucket, ignoreCase: false);
}
