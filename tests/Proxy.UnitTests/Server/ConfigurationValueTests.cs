using System.Collections;
using Proxy.Server.Hosting;

namespace Proxy.UnitTests.Server;

/// <summary>A value that cannot be converted is a mistake with the key's name, wherever it stands: the binder drops entries of lists and dictionaries over one.</summary>
public sealed class ConfigurationValueTests
{
    /// <summary>One good entry in every list and dictionary there is.</summary>
    private static readonly (string Key, string Value)[] Good =
    [
        ("S3:Credentials:0:AccessKey", "milvus1234"), ("S3:Credentials:0:SecretKey", "secret1234"), ("S3:Credentials:0:Buckets:0", "a-bucket"),
        ("Backend:Endpoints:0", "http://127.0.0.1:9"), ("Backend:AccessKey", "k"), ("Backend:SecretKey", "s"), ("Backend:BucketMap:one", "two"),
        ("Backends:ceph:Endpoints:0", "http://127.0.0.1:9"), ("Backends:ceph:AccessKey", "k"), ("Backends:ceph:SecretKey", "s"), ("Backends:ceph:BucketMap:one", "two"),
        ("Routes:0:Bucket", "data"), ("Routes:0:Backend", "ceph"),
        ("Cache:Rules:0:Pattern", "exports/**"), ("Cache:Milvus:RootPaths:0", "files"), ("Cache:Nvme:Directories:0", "/tmp/cache"),
        ("Logging:LogLevel:Default", "Warning"),
    ];

    /// <summary>Every key that is not free text, in the sections and in an entry of each list and dictionary.</summary>
    public static TheoryData<string> TypedKeys => [.. Leaves(typeof(ProxyOptions), "", static type => type != typeof(string)).Append("Logging:LogLevel:Default").Append("Logging:Console:LogLevel:Proxy")];

    /// <summary>Every key whose value is a time.</summary>
    public static TheoryData<string> Times => [.. Leaves(typeof(ProxyOptions), "", static type => type == typeof(TimeSpan) || type == typeof(TimeSpan?))];

    /// <summary>Every list and dictionary.</summary>
    public static TheoryData<string> Collections => [.. CollectionsOf(typeof(ProxyOptions), "").Append("Logging:LogLevel")];

    [Fact]
    public void GoodEntries_AreAllThere()
    {
        var options = Bind();
        Assert.Equal("a-bucket", Assert.Single(Assert.Single(options.S3.Credentials).Buckets));
        Assert.Equal("two", Assert.Single(Assert.Single(options.Backends).Value.BucketMap).Value);
        Assert.Equal("two", Assert.Single(options.Backend.BucketMap).Value);
        Assert.Single(options.Routes);
        Assert.Single(options.Cache.Rules);
        Assert.Single(options.Cache.Milvus.RootPaths);
        Assert.Single(options.Cache.Nvme.Directories);
    }

    [Theory]
    [MemberData(nameof(TypedKeys))]
    public void ValueThatCannotBeConverted_IsRefusedByTheKeysName(string key) => Assert.Contains(key, Mistake((key, "nonsense")), StringComparison.Ordinal);

    [Theory]
    [MemberData(nameof(Collections))]
    public void EntryWithNothingInIt_IsRefused(string key) => Assert.Contains($"{key}:7", Mistake(($"{key}:7", null)), StringComparison.Ordinal);

    [Theory]
    [MemberData(nameof(Collections))]
    public void ValueInPlaceOfEntries_IsRefused(string key) => Assert.Contains(key, Mistake((key, "nonsense")), StringComparison.Ordinal);

    /// <summary>What each of these did: nobody's credential, so that minioadmin could sign in; a backend that was not there; a rule that did not hold.</summary>
    [Theory]
    [InlineData("S3:Credentials:0:ReadOnly", "yes", "true, false")]
    [InlineData("Backends:ceph:ReadAttempts", "three", "a whole number")]
    [InlineData("Backends:ceph:ForwardTimeout", "5m", "hh:mm:ss")]
    [InlineData("Backends:ceph:Tls:InsecureSkipVerify", "1", "true, false")]
    [InlineData("Backends:ceph:CredentialSource", "Env", "Environment")]
    [InlineData("Cache:Rules:0:Class", "Immutabel", "Immutable")]
    [InlineData("Cache:Rules:0:Class", "7", "Immutable")]
    [InlineData("Cache:Rules:0:Class", "Immutable, Bypass", "Immutable")]
    [InlineData("Cache:Rules:0:Ttl", "5s", "hh:mm:ss")]
    [InlineData("Cache:RevalidateTtl", "1", "hh:mm:ss")]
    [InlineData("Backend:Health:OpenFor", "0.5", "hh:mm:ss")]
    [InlineData("Telemetry:Prices:EgressPerGiB", "cheap", "a number")]
    [InlineData("Logging:LogLevel:Default", "Loud", "Information")]
    public void Mistake_SaysWhatIsAllowed(string key, string value, string allowed)
    {
        var mistake = Mistake((key, value));
        Assert.Contains($"{key}: '{value}'", mistake, StringComparison.Ordinal);
        Assert.Contains(allowed, mistake, StringComparison.Ordinal);
    }

    /// <summary>Five of what nobody wrote were five days.</summary>
    [Theory]
    [MemberData(nameof(Times))]
    public void TimeThatIsABareNumber_IsRefused(string key) => Assert.Contains($"{key}: '5'", Mistake((key, "5")), StringComparison.Ordinal);

    /// <summary>Timers take 49 days, and nobody means a century.</summary>
    [Theory]
    [MemberData(nameof(Times))]
    public void TimeOfACentury_IsRefused(string key) => Assert.Contains(key, Mistake((key, "36500.00:00:00")), StringComparison.Ordinal);

    [Theory]
    [InlineData("Backend:Health:OpenFor", "00:00:00")]
    [InlineData("Backend:Health:OpenFor", "1.00:00:00")]
    [InlineData("Backend:Health:MaxWait", "-00:00:01")]
    [InlineData("Backend:ResponseTimeout", "00:00:00")]
    [InlineData("Backend:ResponseTimeout", "5.00:00:00")]
    [InlineData("Backend:ResponseTimeoutPerMiB", "-00:00:01")]
    [InlineData("Backends:ceph:RetryDelay", "01:00:00")]
    [InlineData("Cache:Rules:0:Ttl", "-00:00:01")]
    public void TimeOutOfRange_IsRefused(string key, string value) => Assert.Contains(key, Mistake((key, value)), StringComparison.Ordinal);

    [Fact]
    public void Mistakes_AreToldAllAtOnce()
    {
        var mistake = Mistake(("S3:Credentials:0:ReadOnly", "yes"), ("Backends:ceph:ReadAttempts", "three"));
        Assert.Contains("S3:Credentials:0:ReadOnly", mistake, StringComparison.Ordinal);
        Assert.Contains("Backends:ceph:ReadAttempts", mistake, StringComparison.Ordinal);
    }

    /// <summary>Those of the cache's sections were said twice, once without the section's name.</summary>
    [Theory]
    [InlineData("Cache:Memory:CapacityBytes", "1KiB")]
    [InlineData("Cache:Catalog:JournalBytes", "1KiB")]
    [InlineData("Cache:Fills:MaxAttempts", "0")]
    [InlineData("Cache:Captures:MaxUploads", "0")]
    [InlineData("Cache:BlockSizeBytes", "4KiB")]
    [InlineData("Cache:Rules:0:Ttl", "-00:00:01")]
    [InlineData("Local:ExpiryInterval", "00:00:00")]
    public void Mistake_IsToldOnce(string key, string value) => Assert.StartsWith($"{key}: ", Assert.Single(Mistake((key, value)).Split(Environment.NewLine)), StringComparison.Ordinal);

    /// <summary>The first two ended the start with an exception, with the third nothing was ever sent.</summary>
    [Theory]
    [InlineData("http://")]
    [InlineData("http://collector:http")]
    [InlineData("ftp://collector:4318")]
    [InlineData("collector:4318")]
    public void CollectorThatIsNoAddress_IsRefused(string value) => Assert.Contains("Telemetry:OtlpEndpoint", Mistake(("Telemetry:OtlpEndpoint", value)), StringComparison.Ordinal);

    [Theory]
    [InlineData("Telemetry:OtlpEndpoint", "https://collector/custom")]
    [InlineData("Telemetry:OtlpEndpoint", "")]
    [InlineData("Cache:Rules:0:Class", "bypass")]
    [InlineData("S3:Credentials:0:ReadOnly", "TRUE")]
    [InlineData("Cache:Rules:0:Ttl", "")]
    [InlineData("Backend:Health:OpenFor", "00:00:00.05")]
    [InlineData("Backend:RetryDelay", "00:00:00")]
    [InlineData("Local:UploadExpiry", "-00:00:01")]
    [InlineData("Cache:RevalidateTtl", "365.00:00:00")]
    [InlineData("Backends:ceph:BucketMap:raw-bytes", "two-bytes")]
    public void ValueThatIsOne_IsTaken(string key, string value) => Bind((key, value));

    /// <summary>A bucket's top: it was no root at all.</summary>
    [Fact]
    public void EmptyText_IsAnEntryOfAList() => Assert.Equal("", Assert.Single(Bind(("Cache:Milvus:RootPaths:0", "")).Cache.Milvus.RootPaths));

    [Fact]
    public void EmptyEndpoint_IsRefused() => Assert.Contains("Backend:Endpoints", Mistake(("Backend:Endpoints:0", "")), StringComparison.Ordinal);

    [Fact]
    public void SectionThatIsNull_IsItsDefaults()
    {
        var file = Path.GetTempFileName();
        try
        {
            File.WriteAllText(file, """{ "S3": { "Credentials": null }, "Backend": null, "Backends": null, "Routes": null, "Cache": { "Rules": null, "Fills": null }, "Telemetry": {} }""");
            var options = ConfigurationLoader.Bind(ConfigurationLoader.Load(new CommandLineSettings(file, new Dictionary<string, string?>()), new Hashtable()));
            Assert.Empty(options.S3.Credentials);
            Assert.Empty(options.Backend.BucketMap);
            Assert.Empty(options.Backends);
            Assert.Empty(options.Routes);
            Assert.Empty(options.Cache.Rules);
            Assert.Equal(4, options.Cache.Fills.MaxAttempts);
            Assert.Equal(20, options.Telemetry.NamedCollections);
        }
        finally
        {
            File.Delete(file);
        }
    }

    private static string Mistake(params (string Key, string? Value)[] values) => Assert.Throws<ConfigurationException>(() => Bind(values)).Message;

    private static ProxyOptions Bind(params (string Key, string? Value)[] values)
    {
        var all = Good.ToDictionary(good => good.Key, good => (string?)good.Value, StringComparer.OrdinalIgnoreCase);
        foreach (var (key, value) in values)
        {
            all[key] = value;
        }

        return ConfigurationLoader.Bind(ConfigurationLoader.Load(new CommandLineSettings(null, all), new Hashtable()));
    }

    private static IEnumerable<string> Leaves(Type type, string path, Predicate<Type> isMeant)
        => Properties(type).SelectMany(property => EntryOf(property.PropertyType) is { } entry
            ? IsOptions(entry) ? Leaves(entry, $"{path}{property.Name}:{FirstOf(property.Name)}:", isMeant) : []
            : IsOptions(property.PropertyType) ? Leaves(property.PropertyType, $"{path}{property.Name}:", isMeant)
            : isMeant(property.PropertyType) ? [path + property.Name] : []);

    private static IEnumerable<string> CollectionsOf(Type type, string path)
        => Properties(type).SelectMany(property => EntryOf(property.PropertyType) is { } entry
            ? IsOptions(entry) ? CollectionsOf(entry, $"{path}{property.Name}:{FirstOf(property.Name)}:").Prepend(path + property.Name) : [path + property.Name]
            : IsOptions(property.PropertyType) ? CollectionsOf(property.PropertyType, $"{path}{property.Name}:") : []);

    private static string FirstOf(string collection) => collection == nameof(ProxyOptions.Backends) ? "ceph" : "0";

    private static IEnumerable<System.Reflection.PropertyInfo> Properties(Type type) => type.GetProperties().Where(p => p.SetMethod is not null);

    private static Type? EntryOf(Type type) => type.IsGenericType && Nullable.GetUnderlyingType(type) is null ? type.GetGenericArguments()[^1] : null;

    private static bool IsOptions(Type type) => type.IsClass && type.Namespace!.StartsWith("Proxy.", StringComparison.Ordinal);
}
