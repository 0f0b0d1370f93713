namespace Proxy.Backends.Local.Index;

/// <summary>A multipart upload in progress.</summary>
/// <param name="Id">Counts up, so that uploads of one key sort by when they began, whatever the clock did.</param>
/// <param name="Token">Random; makes the upload id unguessable.</param>
/// <param name="Initiated">Whole seconds since 1970.</param>
internal sealed record UploadRow(
    long Id, long Token, string Key, long Initiated, string? StorageClass, string? ChecksumAlgorithm, string? ChecksumType, ObjectDetails Details)
{
    /// <summary>Sorts as <see cref="Id"/> does.</summary>
    public string UploadId => $"{Id:x16}{Token:x16}";

    public static bool TryParseId(string uploadId, out long id, out long token)
    {
        token = 0;
        return long.TryParse(uploadId.AsSpan(0, Math.Min(16, uploadId.Length)), System.Globalization.NumberStyles.AllowHexSpecifier, provider: null, out id)
            && uploadId.Length == 32
            && long.TryParse(uploadId.AsSpan(16), System.Globalization.NumberStyles.AllowHexSpecifier, provider: null, out token);
    }
}

/// <summary>A part of an upload in progress.</summary>
internal sealed record PartRow(StoredPart Part, long Modified);

/// <summary>How an upload ended, remembered for repeats of the same request.</summary>
internal sealed record CompletedRow(string ETag, long Modified, long Size, string? Checksums);
