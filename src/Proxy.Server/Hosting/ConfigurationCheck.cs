using System.ComponentModel;

namespace Proxy.Server.Hosting;

/// <summary>Finds what the binder would pass over in silence: keys that nobody knows, values of another shape, values that cannot be converted.</summary>
/// <remarks>
/// Asked by <see cref="ConfigurationLoader"/> before anything is bound. In a list or a dictionary the binder drops the whole entry in which it cannot convert one value: a
/// credential with <c>"ReadOnly": "yes"</c> was no credential at all. Walks the options classes as the binder does; stateless.
/// </remarks>
internal static class ConfigurationCheck
{
    /// <returns>One line a mistake: the key, and what is allowed there.</returns>
    public static List<string> FindMistakes(IConfiguration configuration)
    {
        var mistakes = new List<string>();
        foreach (var section in configuration.GetChildren())
        {
            if (section.Key.Equals("Logging", StringComparison.OrdinalIgnoreCase))
            {
                CheckLevels(section, mistakes);
            }
            else
            {
                CheckKey(section, typeof(ProxyOptions), mistakes);
            }
        }

        return mistakes;
    }

    public static bool IsOptionsClass(Type type) => type.IsClass && type.Namespace?.StartsWith("Proxy.", StringComparison.Ordinal) == true;

    private static void CheckKey(IConfigurationSection section, Type owner, List<string> mistakes)
    {
        var property = owner.GetProperties().FirstOrDefault(p => p.Name.Equals(section.Key, StringComparison.OrdinalIgnoreCase) && p.SetMethod is not null);
        if (property is null)
        {
            var known = owner.GetProperties().Where(p => p.SetMethod is not null).Select(p => p.Name).Order(StringComparer.Ordinal);
            mistakes.Add($"{section.Path}: there is no such key; known here: {string.Join(", ", known)}.");
            return;
        }

        Check(section, property.PropertyType, mistakes);
    }

    private static void Check(IConfigurationSection section, Type type, List<string> mistakes)
    {
        if (Nullable.GetUnderlyingType(type) is { } underlying)
        {
            if (!string.IsNullOrEmpty(section.Value) || section.GetChildren().Any())
            {
                Check(section, underlying, mistakes);
            }
        }
        else if (type.IsGenericType)
        {
            RefuseValue(section, mistakes);
            foreach (var entry in section.GetChildren())
            {
                CheckEntry(entry, type.GetGenericArguments()[^1], mistakes);
            }
        }
        else if (IsOptionsClass(type))
        {
            RefuseValue(section, mistakes);
            foreach (var child in section.GetChildren())
            {
                CheckKey(child, type, mistakes);
            }
        }
        else if (section.GetChildren().Any())
        {
            mistakes.Add($"{section.Path}: a section or a list stands where one value is expected.");
        }
        else if (section.Value is { } value && !IsConvertible(value, type))
        {
            mistakes.Add($"{section.Path}: '{value}' is none of what is allowed here: {Allowed(type)}.");
        }
    }

    private static void CheckEntry(IConfigurationSection entry, Type type, List<string> mistakes)
    {
        var isEmpty = IsOptionsClass(type) ? string.IsNullOrEmpty(entry.Value) : entry.Value is null;
        if (isEmpty && !entry.GetChildren().Any())
        {
            mistakes.Add($"{entry.Path}: there is nothing in it where an entry is expected.");
            return;
        }

        Check(entry, type, mistakes);
    }

    private static void RefuseValue(IConfigurationSection section, List<string> mistakes)
    {
        if (!string.IsNullOrEmpty(section.Value))
        {
            mistakes.Add($"{section.Path}: '{section.Value}' stands where a section or a list is expected.");
        }
    }

    /// <summary>Logging is no section of ours, but for what stands under LogLevel.</summary>
    private static void CheckLevels(IConfigurationSection section, List<string> mistakes)
    {
        if (section.Key.Equals("LogLevel", StringComparison.OrdinalIgnoreCase))
        {
            Check(section, typeof(Dictionary<string, LogLevel>), mistakes);
            return;
        }

        foreach (var child in section.GetChildren())
        {
            CheckLevels(child, mistakes);
        }
    }

    private static bool IsConvertible(string value, Type type)
    {
        if (type.IsEnum)
        {
            // By name only: a converter takes any number, and several names at once.
            return Enum.GetNames(type).Contains(value.Trim(), StringComparer.OrdinalIgnoreCase);
        }

        if (type == typeof(TimeSpan) && !value.Contains(':', StringComparison.Ordinal))
        {
            return false; // the converter takes a bare number for days
        }

        try
        {
            return TypeDescriptor.GetConverter(type).ConvertFromInvariantString(value) is not null;
        }
        catch (Exception e) when (e is FormatException or ArgumentException or OverflowException or NotSupportedException)
        {
            return false;
        }
    }

    private static string Allowed(Type type)
        => type.IsEnum ? string.Join(", ", Enum.GetNames(type))
        : type == typeof(bool) ? "true, false"
        : type == typeof(TimeSpan) ? "a time as hh:mm:ss[.fff] or d.hh:mm:ss, such as 00:00:05"
        : type == typeof(int) ? $"a whole number up to {int.MaxValue}"
        : type == typeof(long) ? "a whole number"
        : type == typeof(double) ? "a number, such as 0.5"
        : $"a {type.Name}";
}
