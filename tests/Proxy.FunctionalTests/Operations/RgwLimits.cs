namespace Proxy.FunctionalTests.Operations;

/// <summary>What Ceph RGW 16.2 itself does otherwise: tests that fail when held against it directly, and why. Everything else must pass in front of it.</summary>
internal static class RgwLimits
{
    private const string NoChecksums = "RGW 16.2 neither verifies nor keeps x-amz-checksum-*";

    public static readonly IReadOnlyDictionary<string, string> All = new Dictionary<string, string>(StringComparer.Ordinal)
    {
        ["PutObjectTests.Put_StorageClass_IsAcceptedOrRefused"] = "RGW says InvalidArgument of a storage class it does not know",
        ["PutObjectTests.Put_IfMatch_OnlyThatVersion"] = "RGW 16.2 compares If-Match of a PUT without taking its quotes off, so it never matches",
        ["PutObjectTests.Put_MetadataOver2KiB_IsRefused"] = "RGW takes more metadata than S3",
        ["MultipartTests.Abort_ForgetsEverything"] = "RGW 16.2 answers 500 to a Complete after an abort",
        ["MultipartTests.Upload_Unknown_IsNoSuchUpload"] = "RGW 16.2 answers 500 to a Complete of an unknown upload",
        ["MultipartTests.Complete_SomeOfTheParts_DropsTheOthers"] = "RGW 16.2 wants every uploaded part named",
        ["MultipartTests.Complete_AnswersTheETag"] = "RGW 16.2 answers Complete with an empty ETag",
        ["MultipartTests.Complete_WithPartsThatAreNot_IsRefusedAndMayBeTriedAgain"] = "RGW 16.2 does not mind the order of parts",
        ["MultipartTests.Complete_MalformedDocument_IsRefused"] = "RGW 16.2 reads documents with a DTD",
        ["MultipartTests.Complete_IfNoneMatchStar_OnlyWhenAbsent"] = "RGW 16.2 ignores conditions of a Complete",
        ["MultipartTests.ListUploads_PrefixMarkersAndDelimiter"] = "RGW 16.2 groups no uploads",
        ["ChecksumTests.EachAlgorithm_InHeader_IsKept"] = NoChecksums,
        ["ChecksumTests.Multipart_Composite_IsTheChecksumOfChecksums"] = NoChecksums,
        ["ChecksumTests.Multipart_FullObject_IsTheBodys"] = NoChecksums,
        ["ChecksumTests.Multipart_AlgorithmAndType_MustExistTogether"] = NoChecksums,
        ["ChecksumTests.Multipart_ClaimsOfAnotherKind_AreRefused"] = NoChecksums,
        ["ChecksumTests.Attributes_TellWhatWasAskedFor"] = "RGW 16.2 has no GetObjectAttributes",
        ["GetObjectTests.Get_RangeOfAnotherVersion_IsTheWholeObject"] = "RGW passes over If-Range",
        ["ListObjectsTests.MaxKeys_ZeroAndBeyond"] = "RGW 16.2 reads a negative max-keys as 0",
        ["ListObjectsTests.EncodingType_EscapesNames"] = "RGW 16.2 ignores an encoding-type it does not know",
        ["DeleteObjectTests.Delete_IfMatch_OnlyThatVersion"] = "RGW 16.2 deletes whatever If-Match says",
        ["CopyObjectTests.Copy_SourceIfMatch_IsHeld"] = "RGW 16.2 holds x-amz-copy-source-if-match only in part",
        ["CopyObjectTests.Copy_TagsAndDirective_AreHeld"] = "RGW 16.2 ignores x-amz-tagging-directive",
        ["BucketTests.Create_MalformedConfiguration_IsRefused"] = "RGW says InvalidArgument of a malformed CreateBucketConfiguration",
        ["GetObjectTests.Get_PartNumber_AnswersThatPart"] = "RGW 16.2 ignores partNumber",
        ["GetObjectTests.Get_PartNumberOfAPlainObject_OneIsTheWhole"] = "RGW 16.2 ignores partNumber",
        ["GetObjectTests.Get_SeveralRanges_AnswersTheWhole"] = "RGW answers the first of several ranges",
    };
}
