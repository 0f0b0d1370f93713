using Proxy.S3.Objects;

namespace Proxy.S3.Xml;

/// <summary>The Checksum* elements that several documents share.</summary>
internal static class ChecksumXml
{
    public static void Write(XmlOutput xml, ObjectChecksums? checksums, bool withType)
    {
        if (checksums is null)
        {
            return;
        }

        var name = checksums.Algorithm switch
        {
            "CRC32" => "ChecksumCRC32"u8,
            "CRC32C" => "ChecksumCRC32C"u8,
            "CRC64NVME" => "ChecksumCRC64NVME"u8,
            "SHA1" => "ChecksumSHA1"u8,
            "SHA256" => "ChecksumSHA256"u8,
            "SHA512" => "ChecksumSHA512"u8,
            "MD5" => "ChecksumMD5"u8,
            "XXHASH64" => "ChecksumXXHASH64"u8,
            "XXHASH3" => "ChecksumXXHASH3"u8,
            "XXHASH128" => "ChecksumXXHASH128"u8,
            _ => default,
        };
        if (name.IsEmpty)
        {
            return;
        }

        xml.Element(name, checksums.Value);
        if (withType)
        {
            xml.Element("ChecksumType"u8, checksums.Type);
        }
    }
}
