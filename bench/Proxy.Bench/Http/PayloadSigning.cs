namespace Proxy.Bench.Http;

/// <summary>How a request body is signed (SigV4's x-amz-content-sha256).</summary>
internal enum PayloadSigning
{
    /// <summary>Hex SHA-256 of the whole body, as aws-sdk-cpp (Milvus's C++ side) does over http.</summary>
    Sha256,

    /// <summary>
    /// STREAMING-AWS4-HMAC-SHA256-PAYLOAD in 64 KiB signed chunks and without <c>Content-Encoding: aws-chunked</c>,
    /// as minio-go (Milvus's Go side) does over http.
    /// </summary>
    Streaming,

    /// <summary>UNSIGNED-PAYLOAD, as both do over https.</summary>
    Unsigned,

    /// <summary>
    /// STREAMING-UNSIGNED-PAYLOAD-TRAILER with a CRC-64/NVME behind the body, chunked and without Content-Length, as aws-sdk-cpp 1.11.842 (Milvus 3.0's C++ side)
    /// does by default.
    /// </summary>
    Trailer,
}
