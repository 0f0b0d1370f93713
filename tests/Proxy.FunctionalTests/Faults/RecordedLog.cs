using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;

namespace Proxy.FunctionalTests.Faults;

/// <summary>Keeps what is logged as a warning or worse. Thread-safe.</summary>
internal sealed class RecordedLog : ILoggerFactory, ILogger
{
    public ConcurrentQueue<(string Text, Exception? Cause)> Warnings { get; } = new();

    public ILogger CreateLogger(string categoryName) => this;

    public void AddProvider(ILoggerProvider provider)
    {
    }

    public IDisposable? BeginScope<TState>(TState state)
        where TState : notnull
        => null;

    public bool IsEnabled(LogLevel logLevel) => logLevel >= LogLevel.Warning;

    public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
    {
        if (IsEnabled(logLevel))
        {
            Warnings.Enqueue((formatter(state, exception), exception));
        }
    }

    public void Dispose()
    {
    }
}
