namespace Proxy.Backends.Remote;

/// <summary>Reads the short documents that backends answer with.</summary>
internal static class AnswerDocument
{
    /// <returns>Null when it is longer than <paramref name="maxBytes"/>; it is then not read further.</returns>
    public static async ValueTask<byte[]?> ReadAsync(HttpResponseMessage response, int maxBytes, CancellationToken cancellation)
    {
        using var whole = new MemoryStream();
        using var stream = await response.Content.ReadAsStreamAsync(cancellation).ConfigureAwait(false);
        var piece = new byte[8 << 10];
        while (await stream.ReadAsync(piece, cancellation).ConfigureAwait(false) is var read and > 0)
        {
            whole.Write(piece, 0, read);
            if (whole.Length > maxBytes)
            {
                return null;
            }
        }

        return whole.ToArray();
    }
}
