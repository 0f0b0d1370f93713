using System.Collections;
using System.ComponentModel.DataAnnotations;
using System.Globalization;
using System.Reflection;
using System.Security.Cryptography;
using Proxy.Backends.Remote;

namespace Proxy.Server.Hosting;

/// <summary>Layers the configuration (file, environment, command line), and refuses what it does not understand.</summary>
internal static class ConfigurationLoader
{
    /// <summary>Read when it exists and no --config names another.</summary>
    public const string DefaultFile = "config/proxy.json";

    /// <summary>Sections of the configuration: environment variables that start with anything else are not ours.</summary>
    private static readonly string[] Sections = [.. typeof(ProxyOptions).GetProperties().Select(p => p.Name), "Logging"];

    /// <param name="environment">Environment variables; <c>Section__Key</c> means <c>Section:Key</c>.</param>
    /// <remarks>
    /// A key replaces the same key of a lower layer, and an entry of a backend's endpoints all of a lower layer's: with one of them replaced and the others left, two stores
    /// would be served as one.
    /// </remarks>
    /// <exception cref="ConfigurationException">The file cannot be read, or a size cannot be understood.</exception>
    public static IConfigurationRoot Load(CommandLineSettings commandLine, IDictionary environment)
    {
        var values = new Dictionary<string, string?>(ReadFile(FileOf(commandLine)), StringComparer.OrdinalIgnoreCase);
        foreach (var layer in (IEnumerable<KeyValuePair<string, string?>>[])[OurVariables(environment), commandLine.Values])
        {
            var replaced = layer.Select(pair => EndpointsOf(pair.Key)).OfType<string>().ToHashSet(StringComparer.OrdinalIgnoreCase);
            foreach (var key in values.Keys.Where(key => EndpointsOf(key) is { } list && replaced.Contains(list)).ToList())
            {
                values.Remove(key);
            }

            foreach (var (key, value) in layer)
            {
                values[key] = value;
            }
        }

        // A layer under a layer: there empty text, which a compose file gives for a variable that is not set, is no value.
        var layered = new ConfigurationBuilder().AddInMemoryCollection(values).Build();
        return new ConfigurationBuilder().AddConfiguration(layered).AddInMemoryCollection(PutRight(values)).Build();
    }

    /// <summary>The configuration file in use; null when there is none.</summary>
    public static string? FileOf(CommandLineSettings commandLine) => commandLine.ConfigFile ?? (File.Exists(DefaultFile) ? DefaultFile : null);

    /// <summary>Of the content of the file in use. Not its time stamp: an editor may write twice within one tick of a file system's clock.</summary>
    /// <returns>Null when there is none, or while it cannot be read.</returns>
    public static string? Fingerprint(string? file)
    {
        try
        {
            return file is null ? null : Convert.ToHexString(SHA256.HashData(File.ReadAllBytes(file)));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    /// <summary>Binds and checks all of it; reports every mistake at once.</summary>
    /// <exception cref="ConfigurationException">Unknown keys, values of the wrong form, or values out of range.</exception>
    public static ProxyOptions Bind(IConfiguration configuration)
    {
        var mistakes = ConfigurationCheck.FindMistakes(configuration);
        var options = new ProxyOptions();
        if (mistakes.Count == 0)
        {
            try
            {
                configuration.Bind(options);
            }
            catch (InvalidOperationException e)
            {
                mistakes.Add(e.InnerException is FormatException or ArgumentException ? $"{e.Message} {e.InnerException.Message}" : e.Message);
            }
        }

        if (mistakes.Count == 0)
        {
            Validate(options, "", mistakes);
        }

        return mistakes.Count == 0 ? options : throw new ConfigurationException(string.Join(Environment.NewLine, mistakes));
    }

    private static IEnumerable<KeyValuePair<string, string?>> ReadFile(string? file)
    {
        if (file is null)
        {
            return [];
        }

        if (!File.Exists(file))
        {
            throw new ConfigurationException($"Configuration file {file} does not exist: correct --config, or leave it out to run on defaults.");
        }

        try
        {
            return new ConfigurationBuilder().AddJsonFile(Path.GetFullPath(file), optional: false, reloadOnChange: false).Build().AsEnumerable();
        }
        catch (Exception e) when (e is InvalidDataException or FormatException or IOException or UnauthorizedAccessException)
        {
            throw new ConfigurationException($"Configuration file {file} cannot be read: {e.InnerException?.Message ?? e.Message}");
        }
    }

    /// <returns>The list of endpoints that a key is an entry of; null when it is none.</returns>
    private static string? EndpointsOf(string key)
    {
        var at = key.LastIndexOf(':');
        return at > 0 && key.AsSpan(0, at).EndsWith($":{nameof(RemoteOptions.Endpoints)}", StringComparison.OrdinalIgnoreCase) && IsIndex(key[(at + 1)..]) ? key[..at] : null;
    }

    private static bool IsIndex(string name) => int.TryParse(name, NumberStyles.None, CultureInfo.InvariantCulture, out _);

    private static Dictionary<string, string?> OurVariables(IDictionary environment)
    {
        var values = new Dictionary<string, string?>(StringComparer.OrdinalIgnoreCase);
        foreach (DictionaryEntry variable in environment)
        {
            var key = ((string)variable.Key).Replace("__", ":", StringComparison.Ordinal);
            var section = key.Split(':', 2)[0];
            var nested = key.Contains(':', StringComparison.Ordinal) || section.Equals(nameof(ProxyOptions.Data), StringComparison.Ordinal);
            if (nested && Sections.Contains(section, StringComparer.OrdinalIgnoreCase))
            {
                values[key] = (string?)variable.Value;
            }
        }

        return values;
    }

    /// <summary>
    /// Every key with "Bytes" in its name may be written as 64KiB, 1GiB …; the options classes only know numbers. And an entry of a list may be empty text, which layers under
    /// layers take for none at all.
    /// </summary>
    private static Dictionary<string, string?> PutRight(Dictionary<string, string?> configuration)
    {
        var values = new Dictionary<string, string?>(StringComparer.OrdinalIgnoreCase);
        foreach (var (key, value) in configuration)
        {
            var name = key[(key.LastIndexOf(':') + 1)..];
            if (value is "" && IsIndex(name))
            {
                values[key] = value;
            }

            if (string.IsNullOrEmpty(value) || !name.Contains("Bytes", StringComparison.OrdinalIgnoreCase)
                || key.Contains($":{nameof(RemoteOptions.BucketMap)}:", StringComparison.OrdinalIgnoreCase)) // a bucket may be called so
            {
                continue;
            }

            if (!ByteSize.TryParse(value, out var bytes))
            {
                throw new ConfigurationException($"{key}: '{value}' is not a size; write it as 4096, 64KiB, 512MiB or 50GiB.");
            }

            values[key] = bytes.ToString(CultureInfo.InvariantCulture);
        }

        return values;
    }

    private static void Validate(object options, string path, List<string> mistakes)
    {
        var results = new List<ValidationResult>();
        Validator.TryValidateObject(options, new ValidationContext(options), results, validateAllProperties: true);

        // A section that looks into its own sections has told theirs already.
        mistakes.AddRange(results.Select(r => $"{path}{r.MemberNames.FirstOrDefault()}: {r.ErrorMessage}").Except(mistakes).ToList());
        foreach (var property in options.GetType().GetProperties(BindingFlags.Public | BindingFlags.Instance).Where(p => p.GetIndexParameters().Length == 0))
        {
            var value = property.GetValue(options);
            if (value is RemoteOptions { Endpoints.Count: 0 } && property.Name == nameof(ProxyOptions.Backend))
            {
                continue; // no endpoint: the local store is the backend, and nothing of this section is used
            }

            switch (value)
            {
                case null or string:
                    break;
                case IDictionary named:
                    foreach (DictionaryEntry entry in named)
                    {
                        if (entry.Value is { } item && ConfigurationCheck.IsOptionsClass(item.GetType()))
                        {
                            Validate(item, $"{path}{property.Name}:{entry.Key}:", mistakes);
                        }
                    }

                    break;
                case IEnumerable list:
                    var index = 0;
                    foreach (var item in list)
                    {
                        if (item is not null && ConfigurationCheck.IsOptionsClass(item.GetType()))
                        {
                            Validate(item, $"{path}{property.Name}:{index}:", mistakes);
                        }

                        index++;
                    }

                    break;
                default:
                    if (ConfigurationCheck.IsOptionsClass(value.GetType()))
                    {
                        Validate(value, $"{path}{property.Name}:", mistakes);
                    }

                    break;
            }
        }
    }
}
