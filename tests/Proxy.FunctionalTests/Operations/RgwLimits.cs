namespace Proxy.FunctionalTests.Operations;

/// <summary>What Ceph RGW 16.2 itself does otherwise: tests that fail when held against it directly, and why. Everything else must pass in front of it.</summary>
internal static class RgwLimits
{
    public static readonly IReadOnlyDictionary<string, string> All = new Dictionary<string, string>(StringComparer.Ordinal)
    {
        ["PutObjectTests.Put_StorageClass_IsAcceptedOrRefused"] = "RGW says InvalidArgument of a storage class it does not know",
        ["PutObjectTests.Put_IfMatch_OnlyThatVersion"] = "RGW 16.2 compares If-Match of a PUT without taking its quotes off, so it never matches",
        ["PutObjectTests.Put_MetadataOver2KiB_IsRefused"] = "RGW takes more metadata than S3",
        ["DeleteObjectTests.Delete_IfMatch_OnlyThatVersion"] = "RGW 16.2 deletes whatever If-Match says",
        ["CopyObjectTests.Copy_SourceIfMatch_IsHeld"] = "RGW 16.2 holds x-amz-copy-source-if-match only in part",
        ["CopyObjectTests.Copy_TagsAndDirective_AreHeld"] = "RGW 16.2 ignores x-amz-tagging-directive",
        ["BucketTests.Create_MalformedConfiguration_IsRefused"] = "RGW says InvalidArgument of a malformed CreateBucketConfiguration",
        ["GetObjectTests.Get_PartNumber_AnswersThatPart"] = "RGW 16.2 ignores partNumber",
        ["GetObjectTests.Get_PartNumberOfAPlainObject_OneIsTheWhole"] = "RGW 16.2 ignores partNumber",
        ["GetObjectTests.Get_SeveralRanges_AnswersTheWhole"] = "RGW answers the first of several ranges",
    };
}
