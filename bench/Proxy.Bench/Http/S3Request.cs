namespace Proxy.Bench.Http;

/// <summary>One request to the target's bucket, not yet signed.</summary>
internal sealed record S3Request(string Operation, string Method, string? Key)
{
    /// <summary>Encoded, sorted by name, each as <c>name=value</c>.</summary>
    public string Query { get; init; } = "";

    /// <summary>Value of the Range header, or null.</summary>
    public string? Range { get; init; }

    /// <summary>Entity tag with its quotes, or null.</summary>
    public string? IfMatch { get; init; }

    /// <summary>Write only if nothing is there: Woodpecker's fence.</summary>
    public bool IfNoneMatch { get; init; }

    /// <summary>Base64, or null: what DeleteObjects asks for.</summary>
    public string? ContentMd5 { get; init; }

    public ReadOnlyMemory<byte> Body { get; init; }

    /// <summary>Whether a body belongs to it, if only an empty one.</summary>
    public bool HasBody => Method is "PUT" or "POST";

    public PayloadSigning Signing { get; init; } = PayloadSigning.Sha256;
}

/// <summary>An answer whose body has been read.</summary>
internal sealed record S3Answer(ResponseHead Head, string Text)
{
    public int Status => Head.Status;

    /// <summary>The content of the first element of that name in an XML body, or null.</summary>
    public string? Element(string name)
    {
        var open = Text.IndexOf($"<{name}>", StringComparison.Ordinal);
        if (open < 0)
        {
            return null;
        }

        open += name.Length + 2;
        var close = Text.IndexOf($"</{name}>", open, StringComparison.Ordinal);
        return close < 0 ? null : System.Net.WebUtility.HtmlDecode(Text[open..close]);
    }
}
