namespace Proxy.S3.Errors;

/// <summary>Every error code the proxy itself sends, in one table: S3's name, HTTP status, S3's message.</summary>
/// <remarks>Names, statuses and texts follow the Amazon S3 API Reference, "Error responses".</remarks>
public sealed class S3ErrorCode
{
    public static readonly S3ErrorCode AccessDenied = new(nameof(AccessDenied), 403, "Access Denied.");
    public static readonly S3ErrorCode AccessForbidden = new(nameof(AccessForbidden), 403, "CORSResponse: CORS is not enabled for this bucket.");
    public static readonly S3ErrorCode AuthorizationHeaderMalformed = new(nameof(AuthorizationHeaderMalformed), 400, "The authorization header you provided is not valid.");
    public static readonly S3ErrorCode AuthorizationQueryParametersError = new(nameof(AuthorizationQueryParametersError), 400, "Query-string authentication parameters are not valid.");
    public static readonly S3ErrorCode BadDigest = new(nameof(BadDigest), 400, "The Content-MD5 or checksum value that you specified did not match what the server received.");
    public static readonly S3ErrorCode BadRequest = new(nameof(BadRequest), 400, "Bad request.");
    public static readonly S3ErrorCode BucketAlreadyExists = new(nameof(BucketAlreadyExists), 409, "The requested bucket name is not available.");
    public static readonly S3ErrorCode BucketAlreadyOwnedByYou = new(nameof(BucketAlreadyOwnedByYou), 409, "The bucket that you tried to create already exists, and you own it.");
    public static readonly S3ErrorCode BucketNotEmpty = new(nameof(BucketNotEmpty), 409, "The bucket that you tried to delete is not empty.");
    public static readonly S3ErrorCode EntityTooLarge = new(nameof(EntityTooLarge), 400, "Your proposed upload exceeds the maximum allowed object size.");
    public static readonly S3ErrorCode EntityTooSmall = new(nameof(EntityTooSmall), 400, "Your proposed upload is smaller than the minimum allowed object size.");
    public static readonly S3ErrorCode ExpiredToken = new(nameof(ExpiredToken), 400, "The provided token has expired.");
    public static readonly S3ErrorCode IllegalLocationConstraintException = new(nameof(IllegalLocationConstraintException), 400, "The specified location constraint is incompatible for the region specific endpoint this request was sent to.");
    public static readonly S3ErrorCode IncompleteBody = new(nameof(IncompleteBody), 400, "You did not provide the number of bytes specified by the Content-Length HTTP header.");
    public static readonly S3ErrorCode InternalError = new(nameof(InternalError), 500, "An internal error occurred. Try again.");
    public static readonly S3ErrorCode InvalidAccessKeyId = new(nameof(InvalidAccessKeyId), 403, "The AWS access key ID that you provided does not exist in our records.");
    public static readonly S3ErrorCode InvalidArgument = new(nameof(InvalidArgument), 400, "Invalid argument.");
    public static readonly S3ErrorCode InvalidBucketName = new(nameof(InvalidBucketName), 400, "The specified bucket is not valid.");
    public static readonly S3ErrorCode InvalidDigest = new(nameof(InvalidDigest), 400, "The Content-MD5 or checksum value that you specified is not valid.");
    public static readonly S3ErrorCode InvalidPart = new(nameof(InvalidPart), 400, "One or more of the specified parts could not be found. The part might not have been uploaded, or the specified entity tag might not have matched the part's entity tag.");
    public static readonly S3ErrorCode InvalidPartNumber = new(nameof(InvalidPartNumber), 416, "The requested partnumber is not satisfiable.");
    public static readonly S3ErrorCode InvalidPartOrder = new(nameof(InvalidPartOrder), 400, "The list of parts was not in ascending order. Parts must be ordered by part number.");
    public static readonly S3ErrorCode InvalidPolicyDocument = new(nameof(InvalidPolicyDocument), 400, "The content of the form does not meet the conditions specified in the policy document.");
    public static readonly S3ErrorCode InvalidRange = new(nameof(InvalidRange), 416, "The requested range cannot be satisfied.");
    public static readonly S3ErrorCode InvalidRequest = new(nameof(InvalidRequest), 400, "Invalid request.");
    public static readonly S3ErrorCode InvalidStorageClass = new(nameof(InvalidStorageClass), 400, "The storage class that you specified is not valid.");
    public static readonly S3ErrorCode InvalidTag = new(nameof(InvalidTag), 400, "The tag provided was not a valid tag.");
    public static readonly S3ErrorCode InvalidToken = new(nameof(InvalidToken), 400, "The provided token is malformed or otherwise not valid.");
    public static readonly S3ErrorCode InvalidUri = new("InvalidURI", 400, "Couldn't parse the specified URI.");
    public static readonly S3ErrorCode KeyTooLongError = new(nameof(KeyTooLongError), 400, "Your key is too long.");
    public static readonly S3ErrorCode MalformedPostRequest = new("MalformedPOSTRequest", 400, "The body of your POST request is not well-formed multipart/form-data.");
    public static readonly S3ErrorCode MalformedTrailerError = new(nameof(MalformedTrailerError), 400, "The request contained trailing data that was not well-formed or did not conform to our published schema.");
    public static readonly S3ErrorCode MalformedXml = new("MalformedXML", 400, "The XML that you provided was not well formed or did not validate against our published schema.");
    public static readonly S3ErrorCode MaxPostPreDataLengthExceeded = new("MaxPostPreDataLengthExceededError", 400, "Your POST request fields preceding the upload file were too large.");
    public static readonly S3ErrorCode MetadataTooLarge = new(nameof(MetadataTooLarge), 400, "Your metadata headers exceed the maximum allowed metadata size.");
    public static readonly S3ErrorCode MethodNotAllowed = new(nameof(MethodNotAllowed), 405, "The specified method is not allowed against this resource.");
    public static readonly S3ErrorCode MissingContentLength = new(nameof(MissingContentLength), 411, "You must provide the Content-Length HTTP header.");
    public static readonly S3ErrorCode MissingRequestBodyError = new(nameof(MissingRequestBodyError), 400, "Request body is empty.");
    public static readonly S3ErrorCode MissingSecurityHeader = new(nameof(MissingSecurityHeader), 400, "Your request is missing a required header.");
    public static readonly S3ErrorCode NoSuchBucket = new(nameof(NoSuchBucket), 404, "The specified bucket does not exist");
    public static readonly S3ErrorCode NoSuchKey = new(nameof(NoSuchKey), 404, "The specified key does not exist.");
    public static readonly S3ErrorCode NoSuchTagSet = new(nameof(NoSuchTagSet), 404, "The TagSet does not exist.");
    public static readonly S3ErrorCode NoSuchUpload = new(nameof(NoSuchUpload), 404, "The specified multipart upload does not exist. The upload ID might not be valid, or the multipart upload might have been aborted or completed.");
    public static readonly S3ErrorCode NoSuchVersion = new(nameof(NoSuchVersion), 404, "The specified version does not exist.");
    public static readonly S3ErrorCode NotImplemented = new(nameof(NotImplemented), 501, "A header or operation that you provided implies functionality that is not implemented.");

    /// <summary>Not an error to the client but an answer without a body; thrown where a conditional read finds nothing new.</summary>
    public static readonly S3ErrorCode NotModified = new(nameof(NotModified), 304, "Not Modified");
    public static readonly S3ErrorCode PreconditionFailed = new(nameof(PreconditionFailed), 412, "At least one of the preconditions that you specified did not hold.");
    public static readonly S3ErrorCode ConditionalRequestConflict = new(nameof(ConditionalRequestConflict), 409, "A conflicting operation occurred during the request. Try again.");
    public static readonly S3ErrorCode RequestHeaderSectionTooLarge = new(nameof(RequestHeaderSectionTooLarge), 400, "Your request header section exceeds the maximum allowed size.");
    public static readonly S3ErrorCode RequestTimeout = new(nameof(RequestTimeout), 400, "Your socket connection to the server was not read from or written to within the timeout period.");
    public static readonly S3ErrorCode RequestTimeTooSkewed = new(nameof(RequestTimeTooSkewed), 403, "The difference between the request time and the server's time is too large.");
    public static readonly S3ErrorCode ServiceUnavailable = new(nameof(ServiceUnavailable), 503, "Service is unable to handle request.");
    public static readonly S3ErrorCode SignatureDoesNotMatch = new(nameof(SignatureDoesNotMatch), 403, "The request signature that the server calculated does not match the signature that you provided. Check your secret access key and signing method.");
    public static readonly S3ErrorCode SlowDown = new(nameof(SlowDown), 503, "Please reduce your request rate.");
    public static readonly S3ErrorCode XAmzContentSha256Mismatch = new("XAmzContentSHA256Mismatch", 400, "The provided x-amz-content-sha256 header does not match what was computed.");

    private S3ErrorCode(string name, int status, string message)
    {
        Name = name;
        Status = status;
        Message = message;
    }

    /// <summary>As in the XML's Code element.</summary>
    public string Name { get; }

    /// <summary>HTTP status.</summary>
    public int Status { get; }

    public string Message { get; }

    public override string ToString() => Name;
}
