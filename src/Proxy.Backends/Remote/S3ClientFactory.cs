using Amazon.Runtime;
using Amazon.S3;

namespace Proxy.Backends.Remote;

/// <summary>Makes the SDK clients of a backend, one per endpoint, over the shared connection pool.</summary>
internal static class S3ClientFactory
{
    public static AmazonS3Client Create(RemoteEndpoint endpoint, RemoteBackend backend, RemoteCredentials credentials, RemoteHttp http)
    {
        var config = new AmazonS3Config
        {
            ServiceURL = endpoint.Url.GetLeftPart(UriPartial.Authority),
            AuthenticationRegion = backend.Options.Region,
            ForcePathStyle = !endpoint.PrefersVirtualHost,
            UseHttp = endpoint.Url.Scheme == Uri.UriSchemeHttp,
            HttpClientFactory = new SharedClient(http.NewClient(backend)),
            // Retries are ours: the store knows which endpoint is worth another try, and counts them.
            MaxErrorRetry = 0,
            MaxStaleConnectionRetries = 0,
            ThrottleRetries = false,
            Timeout = System.Threading.Timeout.InfiniteTimeSpan,
            // A checksum is sent and checked only where the protocol asks for one; older stores refuse the new headers.
            RequestChecksumCalculation = RequestChecksumCalculation.WHEN_REQUIRED,
            ResponseChecksumValidation = ResponseChecksumValidation.WHEN_REQUIRED,
            DisableS3ExpressSessionAuth = true,
            IgnoreConfiguredEndpointUrls = true,
            DisableLogging = true,
        };
        return new AmazonS3Client(credentials.Sdk, config);
    }

    private sealed class SharedClient(HttpClient client) : HttpClientFactory
    {
        public override HttpClient CreateHttpClient(IClientConfig clientConfig) => client;

        public override bool UseSDKHttpClientCaching(IClientConfig clientConfig) => false;

        public override bool DisposeHttpClientsAfterUse(IClientConfig clientConfig) => false;
    }
}
