namespace Proxy.Cache.Policy;

/// <summary>Glob patterns over keys: <c>**</c> is any text, <c>*</c> any text without a slash, <c>?</c> one character but a slash.</summary>
public static class KeyPattern
{
    /// <summary>Whether the whole of <paramref name="key"/> fits. Allocates nothing; time is bounded by pattern × key.</summary>
    public static bool Matches(ReadOnlySpan<char> pattern, ReadOnlySpan<char> key)
    {
        int p = 0, k = 0;

        // Where to go back to: the last single star (it may not cross a slash), and the last double star (it may).
        int star = -1, starKey = 0, deep = -1, deepKey = 0;
        while (true)
        {
            if (p < pattern.Length && pattern[p] == '*')
            {
                if (p + 1 < pattern.Length && pattern[p + 1] == '*')
                {
                    p += 2;
                    (deep, deepKey, star) = (p, k, -1);
                }
                else
                {
                    p++;
                    (star, starKey) = (p, k);
                }

                continue;
            }

            if (k == key.Length)
            {
                if (p == pattern.Length)
                {
                    return true;
                }
            }
            else if (p < pattern.Length && (pattern[p] == key[k] || (pattern[p] == '?' && key[k] != '/')))
            {
                p++;
                k++;
                continue;
            }

            if (star >= 0 && starKey < key.Length && key[starKey] != '/')
            {
                (p, k) = (star, ++starKey);
            }
            else if (deep >= 0 && deepKey < key.Length)
            {
                (p, k, star) = (deep, ++deepKey, -1);
            }
            else
            {
                return false;
            }
        }
    }
}
