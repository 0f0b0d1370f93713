using System.Reflection;
using Microsoft.Extensions.Logging;

namespace Proxy.UnitTests.Server;

/// <summary>What operators filter by: an event id means one thing.</summary>
public sealed class LogEventTests
{
    [Fact]
    public void EventIds_AreEachUsedOnce()
    {
        string[] projects = ["Proxy.S3", "Proxy.Backends", "Proxy.Cache", "Proxy.Server"];
        var events = projects
            .SelectMany(project => Assembly.Load(project).GetTypes())
            .SelectMany(type => type.GetMethods(BindingFlags.Instance | BindingFlags.Static | BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.DeclaredOnly))
            .Select(method => (Method: $"{method.DeclaringType!.FullName}.{method.Name}", Log: method.GetCustomAttribute<LoggerMessageAttribute>()))
            .Where(found => found.Log is not null)
            .ToLookup(found => found.Log!.EventId, found => found.Method);
        Assert.NotEmpty(events);
        Assert.Empty(events.Where(sharing => sharing.Count() > 1).Select(sharing => $"{sharing.Key}: {string.Join(", ", sharing)}"));
    }
}
