using System.ComponentModel.DataAnnotations;
using Proxy.Cache;

namespace Proxy.UnitTests.Cache;

public sealed class CacheOptionsTests
{
    [Fact]
    public void Validate_Defaults_AreFine() => Assert.Empty(Validate(new CacheOptions()));

    [Fact]
    public void Validate_WrongValues_AreEachNamed()
    {
        var messages = Validate(new CacheOptions
        {
            BlockSizeBytes = 100_000,
            Memory = { CapacityBytes = 1 },
            Nvme = { Engine = "Rocks" },
            Fills = { MaxAttempts = 0 },
            RevalidateTtl = TimeSpan.FromSeconds(-1),
        });
        Assert.Contains(messages, message => message.Contains("BlockSizeBytes", StringComparison.Ordinal));
        Assert.Contains(messages, message => message.Contains("CapacityBytes", StringComparison.Ordinal));
        Assert.Contains(messages, message => message.Contains("Rocks", StringComparison.Ordinal));
        Assert.Contains(messages, message => message.Contains("MaxAttempts", StringComparison.Ordinal));
        Assert.Contains(messages, message => message.Contains("RevalidateTtl", StringComparison.Ordinal));
    }

    private static IReadOnlyList<string> Validate(CacheOptions options)
    {
        var results = new List<ValidationResult>();
        Validator.TryValidateObject(options, new ValidationContext(options), results, validateAllProperties: true);
        return [.. results.Select(result => result.ErrorMessage!)];
    }
}
