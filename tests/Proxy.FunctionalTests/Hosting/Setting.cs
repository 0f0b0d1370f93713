using System.Globalization;

namespace Proxy.FunctionalTests.Hosting;

/// <summary>What the environment asks a test to be larger or smaller by.</summary>
internal static class Setting
{
    public static int Of(string name, int usual) => int.TryParse(Environment.GetEnvironmentVariable(name), CultureInfo.InvariantCulture, out var set) ? set : usual;
}
