using System.Collections;
using Microsoft.Extensions.Configuration;
using Proxy.Cache;
using Proxy.Server.Hosting;

namespace Proxy.UnitTests.Server;

/// <summary>What an operator writes is understood, or refused with words that say what to change.</summary>
public sealed class ConfigurationTests
{
    private static readonly string Root = FindRoot();

    public static TheoryData<string> ConfigFiles => [.. Directory.GetFiles(Path.Combine(Root, "config"), "*.json").Select(f => Path.GetFileName(f)!)];

    [Theory]
    [MemberData(nameof(ConfigFiles))]
    public void ReadyFile_Loads(string file) => Assert.NotNull(ConfigurationLoader.Bind(Load(file)));

    [Theory]
    [InlineData(null, false, false, 0L)]
    [InlineData(null, true, false, NvmeTierSettings.DefaultCapacityBytes)]
    [InlineData(null, false, true, NvmeTierSettings.DefaultCapacityBytes)]
    [InlineData(5L << 30, false, false, 5L << 30)]
    [InlineData(0L, true, false, 0L)]
    public void Nvme_InFrontOfTheLocalStoreOnItsDisk_IsOffUnlessAskedFor(long? asked, bool isRemote, bool hasFolder, long expected)
    {
        var data = Directory.CreateTempSubdirectory("proxy-folders-").FullName;
        try
        {
            var options = new ProxyOptions { Data = data, Cache = { Nvme = { CapacityBytes = asked } }, Backend = new() { Endpoints = isRemote ? ["http://127.0.0.1:1"] : [] } };
            if (hasFolder)
            {
                options.Cache.Nvme.Directories.Add(Path.Combine(data, "other-disk"));
            }

            ProxyHost.ResolveFolders(options);
            Assert.Equal(expected, options.Cache.Nvme.CapacityBytes);
            Assert.Equal(expected > 0 ? 1 : 0, options.Cache.Nvme.Directories.Count);
        }
        finally
        {
            Directory.Delete(data, recursive: true);
        }
    }

    [Fact]
    public void ProxyJson_HoldsEveryKeyWithItsDefault()
    {
        var written = ConfigurationLoader.Bind(Load("proxy.json"));
        var mistakes = new List<string>();
        Compare(new ProxyOptions(), written, "", mistakes);
        Assert.Empty(mistakes);

        var keys = Load("proxy.json").AsEnumerable().Select(pair => pair.Key).ToHashSet(StringComparer.OrdinalIgnoreCase);
        var missing = KeysOf(typeof(ProxyOptions), "").Where(key => !keys.Contains(key));
        Assert.Empty(missing);
    }

    [Fact]
    public void UnknownKey_IsRefusedWithTheKnownOnes()
    {
        var error = Assert.Throws<ConfigurationException>(() => Bind(("Cache:BlockSize", "1MiB")));
        Assert.Contains("Cache:BlockSize: there is no such key", error.Message, StringComparison.Ordinal);
        Assert.Contains("BlockSizeBytes", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void UnknownSection_IsRefused() => Assert.Contains("Cahce: there is no such key", Assert.Throws<ConfigurationException>(() => Bind(("Cahce:Enabled", "true"))).Message, StringComparison.Ordinal);

    /// <summary>The binder passes over them: <c>"Routes": 5</c> was no routes at all, and a reload moved every bucket to the local store.</summary>
    [Theory]
    [InlineData("Routes", "5")]
    [InlineData("Routes:0", "5")]
    [InlineData("Backend", "http://minio:9000")]
    [InlineData("Backends:one", "http://minio:9000")]
    [InlineData("Backend:Endpoints", "http://minio:9000")]
    [InlineData("Backend:Region:Name", "us-east-1")]
    [InlineData("Routes:0:Bucket:Name", "data")]
    public void ValueOfTheWrongShape_IsRefused(string key, string value)
        => Assert.Contains("expected", Assert.Throws<ConfigurationException>(() => Bind((key, value))).Message, StringComparison.Ordinal);

    /// <summary>A timer would not take the first, nor a stop the second: found out when it is too late.</summary>
    [Theory]
    [InlineData("Local:ExpiryInterval", "00:00:00")]
    [InlineData("S3:ShutdownTimeout", "-00:00:05")]
    public void TimeThatCannotBeWaitedFor_IsRefused(string key, string value)
        => Assert.Contains(key, Assert.Throws<ConfigurationException>(() => Bind((key, value))).Message, StringComparison.Ordinal);

    [Theory]
    [InlineData("1GiB", 1L << 30)]
    [InlineData("1.5GiB", 3L << 29)]
    [InlineData("536870912", 1L << 29)]
    [InlineData("512M", 1L << 29)]
    [InlineData("2GB", 2_000_000_000)]
    public void Size_IsReadAsPeopleWriteIt(string text, long bytes) => Assert.Equal(bytes, Bind(("Cache:Memory:CapacityBytes", text)).Cache.Memory.CapacityBytes);

    [Theory]
    [InlineData("lots")]
    [InlineData("-1GiB")]
    [InlineData("1XiB")]
    public void Size_ThatIsNone_IsRefused(string text) =>
        Assert.Contains("Cache:Memory:CapacityBytes", Assert.Throws<ConfigurationException>(() => Bind(("Cache:Memory:CapacityBytes", text))).Message, StringComparison.Ordinal);

    [Fact]
    public void ValueOutOfRange_IsRefusedByName() =>
        Assert.Contains("Cache:Memory:CapacityBytes", Assert.Throws<ConfigurationException>(() => Bind(("Cache:Memory:CapacityBytes", "1KiB"))).Message, StringComparison.Ordinal);

    [Fact]
    public void BackendWithoutKeys_IsRefused() =>
        Assert.Contains("Backend:AccessKey", Assert.Throws<ConfigurationException>(() => Bind(("Backend:Endpoints:0", "http://minio:9000"))).Message, StringComparison.Ordinal);

    [Fact]
    public void CommandLine_OverridesEnvironment_OverridesFile()
    {
        var environment = new Hashtable { ["S3__Listen"] = "127.0.0.1:1", ["S3__Region"] = "from-environment", ["PATH"] = "/bin", ["S3"] = "not ours" };
        var commandLine = new CommandLineSettings(Path.Combine(Root, "config", "proxy.json"), new Dictionary<string, string?> { ["S3:Listen"] = "127.0.0.1:2" });
        var options = ConfigurationLoader.Bind(ConfigurationLoader.Load(commandLine, environment));
        Assert.Equal("127.0.0.1:2", options.S3.Listen);
        Assert.Equal("from-environment", options.S3.Region);
    }

    /// <summary>One of the file's two was replaced, and reads went to the other store every second time.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void EndpointsOfAHigherLayer_ReplaceTheFilesList(bool byEnvironment)
    {
        var file = Path.GetTempFileName();
        try
        {
            File.WriteAllText(file, """
                {
                  "Backend": { "Endpoints": ["http://a:1", "http://b:1"], "AccessKey": "k", "SecretKey": "s" },
                  "Backends": { "far": { "Endpoints": ["http://c:1", "http://d:1"], "AccessKey": "k", "SecretKey": "s" } }
                }
                """);
            var environment = byEnvironment ? new Hashtable { ["backend__endpoints__0"] = "http://new:1" } : [];
            var commandLine = new Dictionary<string, string?>(byEnvironment ? [] : [KeyValuePair.Create("Backend:Endpoints:0", (string?)"http://new:1")]);
            var options = ConfigurationLoader.Bind(ConfigurationLoader.Load(new CommandLineSettings(file, commandLine), environment));
            Assert.Equal(["http://new:1"], options.Backend.Endpoints);
            Assert.Equal("k", options.Backend.AccessKey);
            Assert.Equal(["http://c:1", "http://d:1"], options.Backends["far"].Endpoints);
        }
        finally
        {
            File.Delete(file);
        }
    }

    /// <summary>As a compose file's <c>${CERT:-}</c> makes it.</summary>
    [Fact]
    public void EmptyText_IsTheDefault()
    {
        var options = Bind(("S3:Tls:CertificateFile", ""), ("S3:MaxConnections", ""), ("S3:KeepAlive", ""), ("Cache:Memory:CapacityBytes", "1GiB"), ("Cache:Nvme:CapacityBytes", ""), ("Cache:BlockSizeBytes", ""));
        Assert.Null(options.Cache.Nvme.CapacityBytes);
        Assert.Equal(1 << 20, options.Cache.BlockSizeBytes);
        Assert.False(options.S3.Tls.Enabled);
        Assert.Equal(10_000, options.S3.MaxConnections);
        Assert.Equal(TimeSpan.FromMinutes(2), options.S3.KeepAlive);
    }

    [Fact]
    public void EndpointOfTheCommandLine_ReplacesTheEnvironmentsList()
    {
        var environment = new Hashtable { ["Backend__Endpoints__0"] = "http://a:1", ["Backend__Endpoints__1"] = "http://b:1", ["Backend__AccessKey"] = "k", ["Backend__SecretKey"] = "s" };
        var commandLine = new CommandLineSettings(null, new Dictionary<string, string?> { ["Backend:Endpoints:0"] = "http://new:1" });
        Assert.Equal(["http://new:1"], ConfigurationLoader.Bind(ConfigurationLoader.Load(commandLine, environment)).Backend.Endpoints);
    }

    [Fact]
    public void KeepAlive_IsNoShorterThanAClientKeepsItsConnections() => Assert.True(Bind(("S3:Listen", "127.0.0.1:9000")).S3.KeepAlive >= TimeSpan.FromSeconds(75));

    [Fact]
    public void MissingFile_IsRefused() =>
        Assert.Contains("does not exist", Assert.Throws<ConfigurationException>(() => ConfigurationLoader.Load(new CommandLineSettings("no/such.json", new Dictionary<string, string?>()), new Hashtable())).Message, StringComparison.Ordinal);

    [Theory]
    [InlineData("nowhere")]
    [InlineData("127.0.0.1")]
    [InlineData("")]
    public void Address_ThatIsNone_IsRefused(string listen) => Assert.Throws<ConfigurationException>(() => S3Server.Endpoints("S3:Listen", listen));

    [Fact]
    public void Addresses_AreReadAsPeopleWriteThem() =>
        Assert.Equal(["0.0.0.0:9000", "127.0.0.1:9100", "[::]:9200"], S3Server.Endpoints("S3:Listen", ":9000, localhost:9100, [::]:9200").Select(e => e.ToString()));

    private static ProxyOptions Bind(params (string Key, string Value)[] values) => ConfigurationLoader.Bind(
        ConfigurationLoader.Load(new CommandLineSettings(null, values.ToDictionary(v => v.Key, v => (string?)v.Value)), new Hashtable()));

    private static IConfigurationRoot Load(string file) => ConfigurationLoader.Load(new CommandLineSettings(Path.Combine(Root, "config", file), new Dictionary<string, string?>()), new Hashtable());

    private static IEnumerable<string> KeysOf(Type type, string path)
    {
        foreach (var property in type.GetProperties().Where(p => p.SetMethod is not null && p.GetIndexParameters().Length == 0))
        {
            var key = path + property.Name;
            yield return key;
            if (property.PropertyType.IsClass && property.PropertyType.Namespace!.StartsWith("Proxy.", StringComparison.Ordinal))
            {
                foreach (var child in KeysOf(property.PropertyType, key + ":"))
                {
                    yield return child;
                }
            }
        }
    }

    private static void Compare(object expected, object actual, string path, List<string> mistakes)
    {
        foreach (var property in expected.GetType().GetProperties().Where(p => p.SetMethod is not null && p.GetIndexParameters().Length == 0))
        {
            var (standard, written) = (property.GetValue(expected), property.GetValue(actual));
            if (standard is null || standard is string || property.PropertyType.IsValueType)
            {
                // An empty string in JSON is how "no value" is written for a key that has none.
                if (!Equals(standard, written) && !(standard is null && written is ""))
                {
                    mistakes.Add($"{path}{property.Name}: the default is {standard ?? "null"}, proxy.json says {written ?? "null"}");
                }
            }
            else if (standard is ICollection none)
            {
                Assert.Empty(none);
            }
            else if (standard.GetType().Namespace!.StartsWith("Proxy.", StringComparison.Ordinal))
            {
                Compare(standard, written!, $"{path}{property.Name}:", mistakes);
            }
        }
    }

    private static string FindRoot()
    {
        var folder = AppContext.BaseDirectory;
        while (!File.Exists(Path.Combine(folder, "Proxy.sln")))
        {
            folder = Path.GetDirectoryName(folder) ?? throw new InvalidOperationException("Run the tests from a checkout.");
        }

        return folder;
    }
}
