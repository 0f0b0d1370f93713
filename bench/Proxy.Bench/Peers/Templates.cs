namespace Proxy.Bench.Peers;

/// <summary>The peers' configuration templates, which travel inside the assembly.</summary>
internal static class Templates
{
    public static string Fill(string name, params ReadOnlySpan<(string Name, string Value)> values)
    {
        using var stream = typeof(Templates).Assembly.GetManifestResourceStream(name) ?? throw new FileNotFoundException(name);
        using var reader = new StreamReader(stream);
        var text = reader.ReadToEnd();
        foreach (var (key, value) in values)
        {
            text = text.Replace($"@{key}@", value, StringComparison.Ordinal);
        }

        return text;
    }
}
