using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Proxy.FunctionalTests.Hosting;
using Proxy.FunctionalTests.Operations.Wire;

namespace Proxy.FunctionalTests.Operations;

/// <summary>A form for foo.txt, with a policy that its fields satisfy.</summary>
internal sealed class PostForm(S3Wire s3)
{
    private const string Region = "us-east-1";

    public bool V2 { get; init; }

    /// <summary>Nothing but what the test says.</summary>
    public bool Bare { get; init; }

    public Dictionary<string, string> Fields { get; } = [];

    public List<object> Conditions { get; } = [];

    public TimeSpan Expires { get; init; } = TimeSpan.FromMinutes(5);

    public string FileName { get; init; } = "file.bin";

    public string AccessKey { get; init; } = ProxyProcess.AccessKey;

    public string SecretKey { get; init; } = ProxyProcess.SecretKey;

    public string? Policy { get; init; }

    public string? Without { get; init; }

    /// <summary>When it is not the bucket that the policy names.</summary>
    public string PostedTo { get; init; } = s3.Bucket;

    /// <summary>Of the POST itself; nobody signs them.</summary>
    public KeyValuePair<string, string>[] Headers { get; init; } = [];

    public Task<Answer> SendAsync(string file) => s3.SendAsync(new WireRequest("POST", $"/{PostedTo}")
    {
        Signing = Signing.None,
        UnsignedHeaders = [new("Content-Type", "multipart/form-data; boundary=bound"), .. Headers],
        Body = Encoding.UTF8.GetBytes(Encode(file) + "\r\n--bound--\r\n"),
    });

    /// <summary>The body up to the end of the file.</summary>
    public string Encode(string file)
    {
        var fields = new Dictionary<string, string>(Fields);
        if (!Bare)
        {
            fields.TryAdd("key", "foo.txt");
            fields.TryAdd("Content-Type", "text/plain");
        }

        Sign(fields);
        fields.Remove(Without ?? "");
        var body = new StringBuilder();
        foreach (var (name, value) in fields)
        {
            body.Append($"--bound\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
        }

        return body.Append($"--bound\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{FileName}\"\r\n\r\n{file}").ToString();
    }

    private void Sign(Dictionary<string, string> fields)
    {
        var now = DateTimeOffset.UtcNow;
        var credential = $"{AccessKey}/{now:yyyyMMdd}/{Region}/s3/aws4_request";
        var conditions = new List<object>(Conditions);
        if (!Bare)
        {
            conditions.Add(new Dictionary<string, string> { ["bucket"] = s3.Bucket });
            conditions.Add(new[] { "starts-with", "$key", "foo" });
            conditions.Add(new[] { "starts-with", "$Content-Type", "text/" });
        }

        if (!V2)
        {
            (fields["x-amz-algorithm"], fields["x-amz-credential"], fields["x-amz-date"]) = ("AWS4-HMAC-SHA256", credential, $"{now:yyyyMMddTHHmmssZ}");
            conditions.AddRange(((string[])["x-amz-algorithm", "x-amz-credential", "x-amz-date"]).Select(name => new[] { "eq", "$" + name, fields[name] }));
        }

        var policy = Policy ?? JsonSerializer.Serialize(new { expiration = $"{now + Expires:yyyy-MM-ddTHH:mm:ssZ}", conditions });
        var encoded = fields["policy"] = Convert.ToBase64String(Encoding.UTF8.GetBytes(policy));
        if (V2)
        {
            fields["AWSAccessKeyId"] = AccessKey;
            fields["signature"] = Convert.ToBase64String(HMACSHA1.HashData(Encoding.UTF8.GetBytes(SecretKey), Encoding.UTF8.GetBytes(encoded)));
            return;
        }

        var key = Encoding.UTF8.GetBytes("AWS4" + SecretKey);
        foreach (var step in (string[])[$"{now:yyyyMMdd}", Region, "s3", "aws4_request"])
        {
            key = HMACSHA256.HashData(key, Encoding.UTF8.GetBytes(step));
        }

        fields["x-amz-signature"] = Convert.ToHexStringLower(HMACSHA256.HashData(key, Encoding.UTF8.GetBytes(encoded)));
    }
}
