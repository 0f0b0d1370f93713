using Proxy.S3.Auth;

namespace Proxy.UnitTests.S3;

public sealed class AccessPolicyTests
{
    private static readonly AccessPolicy Policy = new([new AccessGrant("milvus-*", "files/", ReadOnly: true), new AccessGrant("own", "", ReadOnly: false)]);

    [Theory]
    [InlineData("milvus-a", "files/x", false, true)]
    [InlineData("milvus-a", "files/x", true, false)]
    [InlineData("milvus-a", "other", false, false)]
    [InlineData("milvus", "files/x", false, false)]
    [InlineData("own", "any", true, true)]
    [InlineData("own", "", true, true)]
    [InlineData("Own", "any", false, false)]
    public void Allows_BucketKeyAndVerb_FollowTheGrants(string bucket, string key, bool write, bool allowed)
    {
        Assert.Equal(allowed, Policy.Allows(bucket, key, write));
        Assert.True(AccessPolicy.Full.Allows(bucket, key, write));
    }

    [Theory]
    [InlineData("milvus-a", true)]
    [InlineData("own", true)]
    [InlineData("else", false)]
    public void AllowsSomeOf_Bucket_FollowsTheGrants(string bucket, bool allowed) => Assert.Equal(allowed, Policy.AllowsSomeOf(bucket));

    [Theory]
    [InlineData("milvus-a", "files/x", false, true)]
    [InlineData("milvus-a", "files//x", false, true)]
    [InlineData("milvus-a", "else/../files/x", false, false)]
    [InlineData("milvus-a", "files/a/../x", false, true)]
    [InlineData("milvus-a", "files/a/../x", true, false)]
    [InlineData("milvus-a", "files/../x", false, false)]
    [InlineData("milvus-a", "files/a/../..", false, false)]
    [InlineData("milvus-a", "files/..a/...b/c../d...", false, true)]
    [InlineData("milvus-a", "files//../x", false, false)]
    [InlineData("milvus-a", "files/./../x", false, false)]
    [InlineData("milvus-a", "files/a/../", false, true)]
    [InlineData("own", "a/../b", true, true)]
    [InlineData("own", "..", true, false)]
    [InlineData("own", "a/../../milvus-a/files/x", false, false)]
    public void AllowsFolded_KeyThatClimbs_FollowsTheGrantsOfWhereItLeads(string bucket, string key, bool write, bool allowed)
    {
        Assert.Equal(allowed, Policy.AllowsFolded(bucket, key, write));
        Assert.True(AccessPolicy.Full.AllowsFolded(bucket, key, write));
    }
}
