using System.ComponentModel.DataAnnotations;

namespace Proxy.Server.Telemetry;

/// <summary>Section <c>Telemetry:Prices</c>: what the backend's owner is billed, in any one currency (metrics say dollars).</summary>
/// <remarks>
/// Defaults are Amazon's list prices for S3 Standard in us-east-1 and for transfer out to the internet, first 10 TB a month after 100 GB free
/// (https://aws.amazon.com/s3/pricing/). That page fills its numbers in by script; what they were compared with on 2026-11-22 stands beside each.
/// Within one region transfer to EC2 is free: set <see cref="EgressPerGiB"/> to 0 there.
/// </remarks>
internal sealed class PriceOptions
{
    /// <value>0.005 per 1,000: PUT, COPY, POST and LIST (https://c3x.dev/blog/s3-request-fees-explained).</value>
    [Range(0, 1e6)]
    public double PutPerThousand { get; set; } = 0.005;

    /// <value>0.0004 per 1,000: GET, HEAD and all others (https://c3x.dev/blog/s3-request-fees-explained).</value>
    [Range(0, 1e6)]
    public double GetPerThousand { get; set; } = 0.0004;

    /// <value>0: DELETE and aborted uploads cost nothing (https://aws.amazon.com/s3/faqs/, its examples bill DELETE with 0).</value>
    [Range(0, 1e6)]
    public double DeletePerThousand { get; set; }

    /// <value>0.09 per GiB that leaves the backend (https://leanopstech.com/blog/aws-data-transfer-pricing-2026/, of April 2026).</value>
    [Range(0, 1e6)]
    public double EgressPerGiB { get; set; } = 0.09;

    /// <summary>Price of one request of an operation, by S3's name of it.</summary>
    public double Of(string operation) => PerThousand(operation) / 1000;

    public double OfEgress(long bytes) => bytes / (double)(1L << 30) * EgressPerGiB;

    private double PerThousand(string operation) => operation switch
    {
        "PutObject" or "CopyObject" or "PostObject" or "UploadPart" or "UploadPartCopy" or "CreateMultipartUpload" or "CompleteMultipartUpload"
            or "ListObjects" or "ListObjectsV2" or "ListBuckets" or "ListMultipartUploads" or "ListParts" or "CreateBucket" or "PutObjectTagging" => PutPerThousand,
        "DeleteObject" or "DeleteObjects" or "DeleteBucket" or "DeleteObjectTagging" or "AbortMultipartUpload" => DeletePerThousand,
        _ => GetPerThousand,
    };
}

/// <summary>Section <c>Telemetry:BackendPrices:NAME</c>: where one backend's owner bills otherwise. What is not said is as in <see cref="PriceOptions"/>.</summary>
internal sealed class BackendPriceOptions
{
    [Range(0, 1e6)]
    public double? PutPerThousand { get; set; }

    [Range(0, 1e6)]
    public double? GetPerThousand { get; set; }

    [Range(0, 1e6)]
    public double? DeletePerThousand { get; set; }

    [Range(0, 1e6)]
    public double? EgressPerGiB { get; set; }
}

/// <summary>What each backend's owner is billed. Immutable.</summary>
internal sealed class PriceList(PriceOptions common, IReadOnlyDictionary<string, BackendPriceOptions> own)
{
    private readonly Dictionary<string, PriceOptions> _own = own.ToDictionary(
        pair => pair.Key,
        pair => new PriceOptions
        {
            PutPerThousand = pair.Value.PutPerThousand ?? common.PutPerThousand,
            GetPerThousand = pair.Value.GetPerThousand ?? common.GetPerThousand,
            DeletePerThousand = pair.Value.DeletePerThousand ?? common.DeletePerThousand,
            EgressPerGiB = pair.Value.EgressPerGiB ?? common.EgressPerGiB,
        },
        StringComparer.OrdinalIgnoreCase);

    public PriceOptions Of(string backend) => _own.GetValueOrDefault(backend, common);
}
