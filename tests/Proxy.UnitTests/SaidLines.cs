using Microsoft.Extensions.Logging;

namespace Proxy.UnitTests;

/// <summary>A logger that keeps what it was told, as text.</summary>
internal sealed class SaidLines<T> : ILogger<T>
{
    public List<string> Said { get; } = [];

    public IDisposable? BeginScope<TState>(TState state)
        where TState : notnull => null;

    public bool IsEnabled(LogLevel logLevel) => true;

    public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) => Said.Add(formatter(state, exception));
}
