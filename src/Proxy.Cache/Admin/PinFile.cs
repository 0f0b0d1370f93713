using System.Text.Json;
using Microsoft.Extensions.Logging;

namespace Proxy.Cache.Admin;

/// <summary>Keeps the pins across restarts: one small JSON file beside the catalog's journal, replaced as a whole.</summary>
/// <remarks>One writer at a time (the caller's lock). A file that cannot be read is left where it is and counts as no pins.</remarks>
internal sealed partial class PinFile(string? folder, ILogger logger)
{
    private static readonly JsonSerializerOptions Json = new(JsonSerializerDefaults.Web) { WriteIndented = true };
    private readonly string? _path = folder is null ? null : Path.Combine(folder, "pins.json");

    public IReadOnlyList<Pin> Load()
    {
        if (_path is null || !File.Exists(_path))
        {
            return [];
        }

        try
        {
            return JsonSerializer.Deserialize<List<Pin>>(File.ReadAllBytes(_path), Json) ?? [];
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or JsonException)
        {
            LogUnreadable(logger, _path, e);
            return [];
        }
    }

    public void Save(IReadOnlyList<Pin> pins)
    {
        if (_path is null)
        {
            return;
        }

        try
        {
            var fresh = _path + ".new";
            using (var file = new FileStream(fresh, FileMode.Create, FileAccess.Write))
            {
                JsonSerializer.Serialize(file, pins, Json);
                file.Flush(flushToDisk: true);
            }

            File.Move(fresh, _path, overwrite: true);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            LogUnsaved(logger, _path, e);
        }
    }

    [LoggerMessage(3401, LogLevel.Warning, "Pins in {Path} cannot be read and are ignored: correct or delete the file")]
    private static partial void LogUnreadable(ILogger logger, string path, Exception exception);

    [LoggerMessage(3402, LogLevel.Warning, "Pins could not be written to {Path}: they hold until the proxy stops")]
    private static partial void LogUnsaved(ILogger logger, string path, Exception exception);
}
