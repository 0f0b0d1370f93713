using System.Globalization;
using Proxy.S3.Objects;
using Proxy.S3.Requests;
using Proxy.S3.Xml;
using Proxy.Server.Requests;
using Proxy.Server.Routing;

namespace Proxy.Server.Operations.Objects;

internal sealed class GetObjectAttributes : IOperation
{
    public async ValueTask AnswerAsync(S3Request request)
    {
        var asked = ObjectXml.ReadAttributes(request.Header("x-amz-object-attributes"));
        var maxParts = Header(request, "x-amz-max-parts", S3Limits.MaxListParts);
        var marker = Header(request, "x-amz-part-number-marker", 0);
        var store = ((LocalBackend)request.Backend).Store;
        var id = request.Id;
        var info = await store.HeadObjectAsync(id, new ObjectReadOptions { WithChecksums = true }, request.Aborted);
        var parts = await store.GetObjectPartsAsync(id, request.Aborted);
        PartPage? page = null;
        if (parts.Count > 0)
        {
            PartInfo[] shown = [.. parts.Where(part => part.Number > marker).Take(maxParts)];
            page = new PartPage { Parts = shown, IsTruncated = shown.Length > 0 && shown[^1].Number < parts[^1].Number };
        }

        request.Response.Headers.LastModified = info.LastModifiedHeader;
        var storageClass = info.Headers.FirstOrDefault(header => header.Key == "x-amz-storage-class").Value ?? "STANDARD";
        await XmlAnswer.WriteAsync(
            request, (asked, info, storageClass, page, total: parts.Count, marker, maxParts),
            static (s, buffer) => ObjectXml.WriteAttributes(buffer, s.asked, s.info, Checksums(s.info), s.storageClass, s.page, s.total, s.marker, s.maxParts));
    }

    private static int Header(S3Request request, string name, int standard) =>
        int.TryParse(request.Header(name), NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? Math.Min(number, Math.Max(standard, S3Limits.MaxPartNumber)) : standard;

    private static ObjectChecksums? Checksums(ObjectInfo info)
    {
        const string Prefix = "x-amz-checksum-";
        var type = info.ChecksumHeaders.FirstOrDefault(header => header.Key == "x-amz-checksum-type").Value ?? ObjectChecksums.FullObject;
        foreach (var (name, value) in info.ChecksumHeaders)
        {
            if (name.StartsWith(Prefix, StringComparison.Ordinal) && name != "x-amz-checksum-type")
            {
                return new ObjectChecksums(name[Prefix.Length..].ToUpperInvariant(), value, type);
            }
        }

        return null;
    }
}
