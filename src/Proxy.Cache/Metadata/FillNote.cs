namespace Proxy.Cache.Metadata;

/// <summary>When bytes of a version came into the tiers, and by what.</summary>
/// <param name="By">What brought the last of them.</param>
/// <param name="At">When, by the wall clock; null when that was before the last start.</param>
/// <param name="EarlierBy">What else brought some of them, in no order of time.</param>
public sealed record FillNote(Origin By, DateTimeOffset? At, IReadOnlyList<Origin> EarlierBy)
{
    // One word, so that it is read and replaced whole: milliseconds since 1970, a bit for each origin there was, the last one.
    private const int BitsAt = 8;
    private const int TimeAt = 16;
    private static readonly Origin[] All = Enum.GetValues<Origin>();

    internal static long Add(long word, Origin by, DateTimeOffset? at) => ((at?.ToUnixTimeMilliseconds() ?? 0) << TimeAt) | (word & (0xFF << BitsAt)) | (1L << (BitsAt + (int)by)) | (long)by;

    /// <returns>Null when nothing was noted.</returns>
    internal static FillNote? Of(long word)
    {
        if (word == 0)
        {
            return null;
        }

        var last = (Origin)(byte)word;
        var milliseconds = word >> TimeAt;
        return new FillNote(
            last, milliseconds == 0 ? null : DateTimeOffset.FromUnixTimeMilliseconds(milliseconds), [.. All.Where(origin => origin != last && (word & (1L << (BitsAt + (int)origin))) != 0)]);
    }
}
