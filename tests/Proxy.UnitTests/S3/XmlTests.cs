using System.Buffers;
using System.Text;
using System.Xml.Linq;
using Proxy.S3.Errors;
using Proxy.S3.Objects;
using Proxy.S3.Xml;

namespace Proxy.UnitTests.S3;

public sealed class XmlTests
{
    private static readonly DateTimeOffset Date = new(2026, 11, 22, 10, 20, 30, TimeSpan.Zero);
    private static readonly ObjectId Id = new("b", "a&<k>\u0001 é😀");

    [Fact]
    public void ReadComplete_PartsWithChecksums_AreRead()
    {
        var parts = MultipartXml.ReadComplete(Bytes(
            """
            <?xml version="1.0" encoding="UTF-8"?>
            <CompleteMultipartUpload xmlns="http://s3.amazonaws.com/doc/2006-03-01/">
              <Part><PartNumber>1</PartNumber><ETag>&quot;abc&quot;</ETag><ChecksumCRC32C>AAAAAA==</ChecksumCRC32C></Part>
              <Part><ETag>"def"</ETag><PartNumber>3</PartNumber><Unknown><x/></Unknown></Part>
            </CompleteMultipartUpload>
            """));
        Assert.Equal([new(1, "\"abc\"", new("CRC32C", "AAAAAA==", "FULL_OBJECT")), new(3, "\"def\"", null)], parts);
    }

    [Theory]
    [InlineData("", "MalformedXML")]
    [InlineData("text", "MalformedXML")]
    [InlineData("<CompleteMultipartUpload/>", "MalformedXML")]
    [InlineData("<Other><Part><PartNumber>1</PartNumber><ETag>a</ETag></Part></Other>", "MalformedXML")]
    [InlineData("<CompleteMultipartUpload><Part><PartNumber>0</PartNumber><ETag>a</ETag></Part></CompleteMultipartUpload>", "MalformedXML")]
    [InlineData("<CompleteMultipartUpload><Part><PartNumber>10001</PartNumber><ETag>a</ETag></Part></CompleteMultipartUpload>", "MalformedXML")]
    [InlineData("<CompleteMultipartUpload><Part><PartNumber>1</PartNumber></Part></CompleteMultipartUpload>", "MalformedXML")]
    [InlineData("<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>a</ETag></Part>", "MalformedXML")]
    [InlineData("<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>a</ETag></Part></CompleteMultipartUpload><x/>", "MalformedXML")]
    [InlineData("<CompleteMultipartUpload><Part><PartNumber>2</PartNumber><ETag>a</ETag></Part><Part><PartNumber>1</PartNumber><ETag>a</ETag></Part></CompleteMultipartUpload>", "InvalidPartOrder")]
    [InlineData("<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>a</ETag></Part><Part><PartNumber>1</PartNumber><ETag>a</ETag></Part></CompleteMultipartUpload>", "InvalidPartOrder")]
    public void ReadComplete_Nonsense_IsRefused(string body, string code) => Assert.Equal(code, Refusal(() => MultipartXml.ReadComplete(Bytes(body))));

    /// <summary>The reader looks at the first bytes when it is made, before it is asked for anything.</summary>
    [Theory]
    [InlineData("EFBBBFFF")]
    [InlineData("4C6FA794")]
    [InlineData("FEFFD800")]
    [InlineData("FFFE0000")]
    [InlineData("0000FEFF00110000")]
    [InlineData("EFBBBF")]
    public void Read_BytesOfNoEncoding_AreMalformed(string hex)
    {
        Assert.Equal("MalformedXML", Refusal(() => DeleteXml.Read(Convert.FromHexString(hex))));

        // Control: a mark before a document is none of its faults.
        Assert.Single(DeleteXml.Read((byte[])[0xEF, 0xBB, 0xBF, .. Bytes("<Delete><Object><Key>k</Key></Object></Delete>")]).Objects);
    }

    [Theory]
    [InlineData("<!DOCTYPE Delete [<!ENTITY a \"b\">]><Delete><Object><Key>&a;</Key></Object></Delete>")]
    [InlineData("<!DOCTYPE Delete SYSTEM \"file:///etc/passwd\"><Delete><Object><Key>a</Key></Object></Delete>")]
    [InlineData("<Delete><Object><Key>&undefined;</Key></Object></Delete>")]
    public void Read_DocumentType_IsRefused(string body) => Assert.Equal("MalformedXML", Refusal(() => DeleteXml.Read(Bytes(body))));

    [Fact]
    public void Read_DeepOrWideDocument_IsRefusedInBoundedMemory()
    {
        foreach (var body in new[]
        {
            "<Delete>" + string.Concat(Enumerable.Repeat("<a>", 100_000)),
            "<Delete " + string.Concat(Enumerable.Range(0, 100_000).Select(i => $"a{i}='' ")) + "/>",
            "<Delete><Object><Key>" + new string('k', 2_000_000) + "</Key></Object></Delete>",
        })
        {
            var bytes = Bytes(body);
            var before = GC.GetAllocatedBytesForCurrentThread();
            Assert.Equal("MalformedXML", Refusal(() => DeleteXml.Read(bytes)));
            Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 16L << 20);
        }
    }

    [Fact]
    public void ReadDelete_KeysAsTheyAre_QuietAndConditions()
    {
        var request = DeleteXml.Read(Bytes("<Delete><Quiet>true</Quiet><Object><Key> a/ b&amp;c&#x1F600; </Key></Object><Object><Key>d</Key><VersionId>v</VersionId><ETag>\"e\"</ETag><Size>7</Size>"
            + "<LastModifiedTime>Thu, 01 Jan 2015 00:00:00 GMT</LastModifiedTime></Object></Delete>"));
        Assert.True(request.Quiet);
        Assert.Equal([new(" a/ b&c😀 ", null, null), new("d", "v", new() { IfMatch = "\"e\"", Size = 7, LastModified = new(2015, 1, 1, 0, 0, 0, TimeSpan.Zero) })], request.Objects);
    }

    [Theory]
    [InlineData("<Size>seven</Size>")]
    [InlineData("<LastModifiedTime>yesterday</LastModifiedTime>")]
    public void ReadDelete_ConditionThatIsNone_IsMalformed(string condition)
        => Assert.Equal("MalformedXML", Refusal(() => DeleteXml.Read(Bytes($"<Delete><Object><Key>k</Key>{condition}</Object></Delete>"))));

    [Fact]
    public void ReadDelete_ThousandKeysButNotOneMore()
    {
        static byte[] Body(int count) => Bytes("<Delete>" + string.Concat(Enumerable.Range(0, count).Select(i => $"<Object><Key>{i}</Key></Object>")) + "</Delete>");
        Assert.Equal(1000, DeleteXml.Read(Body(1000)).Objects.Count);
        Assert.Equal("MalformedXML", Refusal(() => DeleteXml.Read(Body(1001))));
        Assert.Equal("MalformedXML", Refusal(() => DeleteXml.Read(Body(0))));
        Assert.Equal("KeyTooLongError", Refusal(() => DeleteXml.Read(Bytes($"<Delete><Object><Key>{new string('k', 1025)}</Key></Object></Delete>"))));
    }

    [Fact]
    public void ReadCreateBucket_LocationIsRead()
    {
        Assert.Null(BucketXml.ReadCreateBucket(default));
        Assert.Null(BucketXml.ReadCreateBucket(Bytes("<CreateBucketConfiguration/>")));
        Assert.Equal("eu-west-1", BucketXml.ReadCreateBucket(Bytes("<CreateBucketConfiguration><LocationConstraint>eu-west-1</LocationConstraint></CreateBucketConfiguration>")));
    }

    [Theory]
    [InlineData("aws:owner", "x")]
    [InlineData("AWS:owner", "x")]
    [InlineData("key?", "x")]
    [InlineData("key", "x*")]
    [InlineData("key", "a\tb")]
    [InlineData("key", "\ud83d\ude00")]
    public void Tagging_KeyOrValueS3DoesNotAllow_IsRefused(string key, string value)
    {
        var document = Write(output => TaggingXml.Write(output, [new("k\u00e9y 1_.:/=+-@", "\u65e5\u672c \u0663"), new(key, value)]));
        Assert.Equal("InvalidTag", Refusal(() => TaggingXml.Read(document)));
        Assert.Equal("InvalidTag", Refusal(() => TaggingXml.ReadHeader($"{Uri.EscapeDataString(key)}={Uri.EscapeDataString(value)}")));
        Assert.Single(TaggingXml.Read(Write(output => TaggingXml.Write(output, [new("k\u00e9y 1_.:/=+-@", "\u65e5\u672c \u0663")]))));
    }

    [Fact]
    public void Tagging_DocumentAndHeader_AreRead()
    {
        KeyValuePair<string, string>[] tags = [new("a b", "1"), new("c", "")];
        Assert.Equal(tags, TaggingXml.Read(Write(output => TaggingXml.Write(output, tags))));
        Assert.Equal(tags, TaggingXml.ReadHeader("a+b=1&c"));
        Assert.Empty(TaggingXml.Read(Bytes("<Tagging><TagSet/></Tagging>")));
        Assert.Equal("MalformedXML", Refusal(() => TaggingXml.Read(Bytes("<Tagging/>"))));
        Assert.Equal("InvalidArgument", Refusal(() => TaggingXml.ReadHeader("a=1&a=2")));
        Assert.Equal("InvalidArgument", Refusal(() => TaggingXml.ReadHeader("=1")));
        Assert.Equal("InvalidTag", Refusal(() => TaggingXml.ReadHeader(new string('k', 129) + "=1")));
        Assert.Equal("InvalidTag", Refusal(() => TaggingXml.ReadHeader("k=" + new string('v', 257))));
        Assert.Equal("InvalidArgument", Refusal(() => TaggingXml.ReadHeader("k=%ff")));
        Assert.Equal("BadRequest", Refusal(() => TaggingXml.ReadHeader(string.Join('&', Enumerable.Range(0, 11)))));
    }

    [Theory]
    [InlineData("<Delete><Quiet>true</Quiet><Object><Key>a&amp;b</Key><ETag>e</ETag></Object><Object><Key>c</Key></Object></Delete>")]
    [InlineData("<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>a</ETag><ChecksumSHA1>x</ChecksumSHA1></Part></CompleteMultipartUpload>")]
    [InlineData("<Tagging><TagSet><Tag><Key>k</Key><Value>v</Value></Tag></TagSet></Tagging>")]
    [InlineData("<CreateBucketConfiguration xmlns='x'><LocationConstraint>eu</LocationConstraint></CreateBucketConfiguration>")]
    [InlineData("<Error><Code>NoSuchKey</Code><Message>m</Message><Resource>/b/k</Resource></Error>")]
    public void Read_RandomDocuments_AnswerOrRefuseInBoundedMemory(string valid)
        => RandomInput.Mutate(8, 3000, [valid], "<>/&;\"'=!-[]?# aKT1\u00e9\u0001", maxBytes: 128 << 10, text =>
        {
            var bytes = Bytes(text);
            ErrorXml.TryRead(bytes, out _);
            switch (valid[1])
            {
                case 'D':
                    Assert.NotEmpty(DeleteXml.Read(bytes).Objects);
                    break;
                case 'T':
                    TaggingXml.Read(bytes);
                    break;
                case 'C' when valid[2] == 'o':
                    Assert.NotEmpty(MultipartXml.ReadComplete(bytes));
                    break;
                case 'C':
                    BucketXml.ReadCreateBucket(bytes);
                    break;
            }
        });

    [Fact]
    public void Error_WrittenAndRead_IsTheSame()
    {
        var body = Write(output => ErrorXml.Write(output, new S3Exception(S3ErrorCode.NoSuchKey) { Details = [new("Key", "a&b")] }, "/b/a&b", "ID", "HOST"));
        Assert.Equal(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>NoSuchKey</Code><Message>The specified key does not exist.</Message><Key>a&amp;b</Key>"
            + "<Resource>/b/a&amp;b</Resource><RequestId>ID</RequestId><HostId>HOST</HostId></Error>", Encoding.UTF8.GetString(body));
        Assert.True(ErrorXml.TryRead(body, out var error));
        Assert.Equal(new ErrorDocument("NoSuchKey", "The specified key does not exist.") { Resource = "/b/a&b", RequestId = "ID" }, error);
    }

    [Theory]
    [InlineData("  \n <Error><Code>SlowDown</Code></Error>", "SlowDown")]
    [InlineData("<CopyObjectResult><ETag>x</ETag></CopyObjectResult>", null)]
    [InlineData("<Error></Error>", null)]
    [InlineData("<html>502</html>", null)]
    [InlineData("", null)]
    [InlineData("   ", null)]
    public void TryRead_BodyOf200_TellsErrorsFromResults(string body, string? code)
        => Assert.Equal(code, ErrorXml.TryRead(Bytes(body), out var error) ? error.Code : null);

    [Fact]
    public void ListV2_FirstPage_HasS3sElementsInOrder()
    {
        var page = new ListPage
        {
            Objects = [new("a/1&", 5, "\"e\"", Date) { ChecksumAlgorithm = "CRC32", ChecksumType = "FULL_OBJECT" }],
            CommonPrefixes = ["a/b/"],
            IsTruncated = true,
            NextAfter = "a/b/",
        };
        var asked = new ListingEcho { Bucket = "b", Prefix = "a/", Delimiter = "/", MaxKeys = 2, StartAfter = "a", ContinuationToken = "t", FetchOwner = true };
        var text = Text(output => ListingXml.WriteV2(output, asked, page, new XmlOwner("I", "D")));
        Assert.EndsWith(
            "<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Name>b</Name><Prefix>a/</Prefix><StartAfter>a</StartAfter><ContinuationToken>t</ContinuationToken>"
            + "<NextContinuationToken>YS9iLw</NextContinuationToken><KeyCount>2</KeyCount><MaxKeys>2</MaxKeys><Delimiter>/</Delimiter><IsTruncated>true</IsTruncated>"
            + "<Contents><Key>a/1&amp;</Key><LastModified>2026-11-22T10:20:30.000Z</LastModified><ETag>&quot;e&quot;</ETag><ChecksumAlgorithm>CRC32</ChecksumAlgorithm>"
            + "<ChecksumType>FULL_OBJECT</ChecksumType><Size>5</Size><Owner><ID>I</ID><DisplayName>D</DisplayName></Owner><StorageClass>STANDARD</StorageClass></Contents>"
            + "<CommonPrefixes><Prefix>a/b/</Prefix></CommonPrefixes></ListBucketResult>", text);
    }

    [Fact]
    public void ListV1_NextMarkerOnlyWithDelimiter()
    {
        var page = new ListPage { Objects = [new("k", 1, "\"e\"", Date)], IsTruncated = true, NextAfter = "k" };
        var flat = Text(output => ListingXml.WriteV1(output, new ListingEcho { Bucket = "b" }, page, XmlOwner.Default));
        Assert.DoesNotContain("NextMarker", flat);
        Assert.Contains("<Marker></Marker><MaxKeys>1000</MaxKeys><IsTruncated>true</IsTruncated>", flat);
        Assert.Contains("<NextMarker>k</NextMarker>", Text(output => ListingXml.WriteV1(output, new ListingEcho { Bucket = "b", Delimiter = "/" }, page, XmlOwner.Default)));
    }

    [Theory]
    [InlineData("a/b c", "a/b%20c")]
    [InlineData("test_file(3).png", "test_file%283%29.png")]
    [InlineData("a+b~*é", "a%2Bb%7E*%C3%A9")]
    [InlineData("\u0001", "%01")]
    public void UrlEncode_Names_AsS3(string name, string encoded) => Assert.Equal(encoded, ListingNames.UrlEncode(name));

    [Theory]
    [InlineData("a")]
    [InlineData("files/insert_log/é😀 \u0001")]
    public void ContinuationToken_RoundTrips(string after) => Assert.Equal(after, ListingNames.FromContinuationToken(ListingNames.ToContinuationToken(after)));

    [Theory]
    [InlineData("")]
    [InlineData("?")]
    [InlineData("a b")]
    [InlineData("_w")]
    public void ContinuationToken_Foreign_IsRefused(string token) => Assert.Equal("InvalidArgument", Refusal(() => ListingNames.FromContinuationToken(token)));

    [Fact]
    public void Write_ControlCharacters_AreReferences()
        => Assert.Contains("<Key>a&amp;&lt;k&gt;&#x1; é😀</Key>", Text(output => MultipartXml.WriteInitiate(output, Id, "u")));

    [Fact]
    public void Write_EveryDocument_IsWellFormedAndEndsWithItsRoot()
    {
        var id = Id with { Key = "a&<k> é😀" };
        var owner = XmlOwner.Default;
        var crc = new ObjectChecksums("CRC64NVME", "AAAAAAAAAAA=", "FULL_OBJECT");
        var part = new PartInfo(2, 5, "\"e\"", Date) { Checksums = crc };
        var parts = new PartPage { Parts = [part], IsTruncated = true, ChecksumAlgorithm = "CRC64NVME", ChecksumType = "FULL_OBJECT" };
        var uploads = new UploadPage { Uploads = [new(id.Key, "u", Date)], CommonPrefixes = ["p/"], IsTruncated = true, NextKeyMarker = "k", NextUploadIdMarker = "u" };
        var info = new ObjectInfo { ETag = "\"e\"", Size = 5, LastModified = Date };
        const ObjectAttributes All = ObjectAttributes.ETag | ObjectAttributes.Checksum | ObjectAttributes.ObjectParts | ObjectAttributes.StorageClass | ObjectAttributes.ObjectSize;
        (string Root, Action<IBufferWriter<byte>> Write)[] documents =
        [
            ("ListAllMyBucketsResult", output => BucketXml.WriteListBuckets(output, [new("b", Date)], owner)),
            ("ListAllMyBucketsResult", output => BucketXml.WriteListBuckets(output, [new("b", Date)], owner, next: "t", prefix: "<")),
            ("AccessControlPolicy", output => BucketXml.WritePrivateAcl(output, owner)),
            ("ListVersionsResult", output => ListingXml.WriteVersions(output, new ListingEcho { Bucket = "b", Marker = "<", Delimiter = "/" }, new ListPage { Objects = [new(id.Key, 1, "\"e\"", Date)], CommonPrefixes = ["p/"], IsTruncated = true, NextAfter = id.Key }, owner)),
            ("LocationConstraint", output => BucketXml.WriteLocation(output, "eu-west-1")),
            ("LocationConstraint", output => BucketXml.WriteLocation(output, "us-east-1")),
            ("VersioningConfiguration", BucketXml.WriteVersioning),
            ("InitiateMultipartUploadResult", output => MultipartXml.WriteInitiate(output, id, "u")),
            ("CompleteMultipartUploadResult", output => MultipartXml.WriteComplete(output, id, "http://h/b/k", "\"e-1\"", crc)),
            ("ListPartsResult", output => MultipartXml.WriteListParts(output, id, "u", 1, 1, parts, owner)),
            ("ListMultipartUploadsResult", output => MultipartXml.WriteListUploads(output, "b", new UploadListQuery { Delimiter = "/" }, uploads, owner, urlEncoded: true)),
            ("CopyObjectResult", output => ObjectXml.WriteCopyObject(output, "\"e\"", Date, crc)),
            ("CopyPartResult", output => ObjectXml.WriteCopyPart(output, part)),
            ("DeleteResult", output => DeleteXml.Write(output, [new(id.Key, null, null), new("x", "v", new S3Exception(S3ErrorCode.AccessDenied))], quiet: false)),
            ("Tagging", output => TaggingXml.Write(output, [new("k", "v")])),
            ("GetObjectAttributesResponse", output => ObjectXml.WriteAttributes(output, All, info, crc, "STANDARD", parts, 3, 1, 1)),
        ];
        foreach (var (root, write) in documents)
        {
            Assert.Equal(XName.Get(root, "http://s3.amazonaws.com/doc/2006-03-01/"), XDocument.Parse(Text(write)).Root!.Name);
        }
    }

    [Fact]
    public void WriteDelete_Quiet_NamesOnlyErrors()
    {
        var text = Text(output => DeleteXml.Write(output, [new("a", null, null), new("b", null, new S3Exception(S3ErrorCode.AccessDenied))], quiet: true));
        Assert.EndsWith("\"><Error><Key>b</Key><Code>AccessDenied</Code><Message>Access Denied.</Message></Error></DeleteResult>", text);
    }

    [Fact]
    public void ReadAttributes_Header_IsRead()
    {
        Assert.Equal(ObjectAttributes.ETag | ObjectAttributes.ObjectSize, ObjectXml.ReadAttributes("ETag, ObjectSize"));
        Assert.Equal("InvalidRequest", Refusal(() => ObjectXml.ReadAttributes(null)));
        Assert.Equal("InvalidRequest", Refusal(() => ObjectXml.ReadAttributes(" ")));
        Assert.Equal("InvalidArgument", Refusal(() => ObjectXml.ReadAttributes("ETag,Colour")));
    }

    private static string Refusal(Func<object> read) => Assert.Throws<S3Exception>(() => { read(); }).Code.Name;

    private static byte[] Bytes(string text) => Encoding.UTF8.GetBytes(text);

    private static byte[] Write(Action<IBufferWriter<byte>> write)
    {
        var output = new ArrayBufferWriter<byte>();
        write(output);
        return output.WrittenSpan.ToArray();
    }

    private static string Text(Action<IBufferWriter<byte>> write) => Encoding.UTF8.GetString(Write(write));
}
