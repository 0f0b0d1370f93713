using System.Text;

namespace Proxy.UnitTests.Tiers;

/// <summary>Rows of a replay run by hand: said as they come, and kept in the file that <c>PROXY_HIT_RATIO_CSV</c> names.</summary>
internal sealed class ReplayTable(string columns)
{
    private readonly StringBuilder _rows = new(columns + "\n");

    /// <summary>A number that the environment may set.</summary>
    public static int Asked(string variable, int otherwise) => int.TryParse(Environment.GetEnvironmentVariable(variable), out var asked) ? asked : otherwise;

    public void Add(string row)
    {
        _rows.Append(row).Append('\n');
        TestContext.Current.SendDiagnosticMessage("{0}", row);
    }

    public async Task SaveAsync()
    {
        if (Environment.GetEnvironmentVariable("PROXY_HIT_RATIO_CSV") is { Length: > 0 } path)
        {
            await File.WriteAllTextAsync(path, _rows.ToString());
        }
    }
}
