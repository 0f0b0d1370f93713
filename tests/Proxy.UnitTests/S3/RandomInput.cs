using System.Text;
using Proxy.S3.Errors;

namespace Proxy.UnitTests.S3;

/// <summary>Seeded nonsense for parsers, and the bound on what one parse may allocate.</summary>
internal static class RandomInput
{
    /// <summary>Runs a parser over mutations of valid texts. It may answer or throw <see cref="S3Exception"/>, and nothing else.</summary>
    /// <param name="maxBytes">What one run may allocate, an exception with its details included.</param>
    public static void Mutate(int seed, int runs, string[] valid, string alphabet, long maxBytes, Action<string> parse)
    {
        var random = new Random(seed);
        Run(valid[0]);
        for (var i = 0; i < runs; i++)
        {
            var text = new StringBuilder(valid[random.Next(valid.Length)]);
            for (var edits = random.Next(1, 6); edits > 0; edits--)
            {
                var at = random.Next(text.Length + 1);
                switch (random.Next(4))
                {
                    case 0:
                        text.Insert(at, alphabet[random.Next(alphabet.Length)]);
                        break;
                    case 1 when at < text.Length:
                        text.Remove(at, Math.Min(random.Next(1, 8), text.Length - at));
                        break;
                    case 2 when at < text.Length:
                        text[at] = alphabet[random.Next(alphabet.Length)];
                        break;
                    default:
                        text.Insert(at, new string(alphabet[random.Next(alphabet.Length)], random.Next(1, 300)));
                        break;
                }
            }

            var input = text.ToString();
            var before = GC.GetAllocatedBytesForCurrentThread();
            Run(input);
            var allocated = GC.GetAllocatedBytesForCurrentThread() - before;
            Assert.True(allocated <= maxBytes, $"{allocated} bytes for: {input}");
        }

        void Run(string input)
        {
            try
            {
                parse(input);
            }
            catch (S3Exception)
            {
                // A refusal is a good answer.
            }
        }
    }
}
