using Proxy.FunctionalTests.Hosting;
using Proxy.FunctionalTests.Operations.Wire;

namespace Proxy.FunctionalTests.Operations;

/// <summary>Several clients at once at one key.</summary>
public sealed class ConcurrencyTests(TestServers servers) : OperationTests(servers)
{
    [Theory, EverySetup]
    public Task RacingCreations_ExactlyOneWins(Setup setup) => RunAsync(setup, async s3 =>
    {
        for (var round = 0; round < 5; round++)
        {
            var key = $"/k{round}";
            var answers = await AtOnceAsync(s3, 16, (other, i) => other.PutAsync(key, $"writer {i}", ("If-None-Match", "*")));
            var winner = Assert.Single(Enumerable.Range(0, 16), i => answers[i].Status == 200);
            Assert.All(answers.Where(answer => answer.Status != 200), answer => Assert.Contains(answer.Status, (int[])[409, 412]));
            Assert.Equal($"writer {winner}", (await s3.GetAsync(key)).Expect(200).Text);
        }
    });

    [Theory]
    [InlineData(Setup.Local)]
    [InlineData(Setup.Chained)]
    public Task RacingReplacements_ExactlyOneWins(Setup setup) => RunAsync(setup, async s3 =>
    {
        for (var round = 0; round < 5; round++)
        {
            var etag = (await s3.PutAsync("/k", $"round {round}")).Expect(200).ETag!;
            var answers = await AtOnceAsync(s3, 16, (other, i) => other.PutAsync("/k", $"writer {i} of {round}", ("If-Match", etag)));
            var winner = Assert.Single(Enumerable.Range(0, 16), i => answers[i].Status == 200);
            Assert.All(answers.Where(answer => answer.Status != 200), answer => answer.Expect(412, "PreconditionFailed"));
            Assert.Equal($"writer {winner} of {round}", (await s3.GetAsync("/k")).Expect(200).Text);
        }
    });

    [Theory, EverySetup]
    public Task OverwriteWhileReading_AReaderGetsOneWholeVersion(Setup setup) => RunAsync(setup, async s3 =>
    {
        const int Length = 700_000;
        (await s3.PutAsync("/k", Version(0, Length))).Expect(200);
        using var done = new CancellationTokenSource();
        var readers = Enumerable.Range(0, 4).Select(_ => Task.Run(async () =>
        {
            await using var reader = s3.Another();
            var reads = 0;
            for (; !done.IsCancellationRequested; reads++)
            {
                var answer = (await reader.GetAsync("/k")).Expect(200);
                Assert.Equal(Length, answer.Body.Length);
                Assert.Equal(-1, answer.Body.AsSpan().IndexOfAnyExcept(answer.Body[0]));
                Assert.Equal($"\"{Convert.ToHexStringLower(System.Security.Cryptography.MD5.HashData(answer.Body))}\"", answer.ETag);
            }

            return reads;
        })).ToArray();
        for (byte version = 1; version <= 25; version++)
        {
            (await s3.PutAsync("/k", Version(version, Length))).Expect(200);
            Assert.Equal(version, (await s3.GetAsync("/k")).Expect(200).Body[0]);
        }

        await done.CancelAsync();
        Assert.All(await Task.WhenAll(readers), reads => Assert.True(reads > 0));
    });

    [Theory, EverySetup]
    public Task CompleteTwiceAtOnce_MakesOneObject(Setup setup) => RunAsync(setup, async s3 =>
    {
        var upload = await s3.CreateUploadAsync("/k");
        var part = await s3.UploadPartAsync("/k", upload, 1, Bytes(100_000));
        var answers = await AtOnceAsync(s3, 4, (other, _) => other.CompleteAsync("/k", upload, [(1, part)]));
        Assert.Contains(answers, answer => answer.Status == 200 && !answer.Text.Contains("<Error>", StringComparison.Ordinal));
        if (setup == Setup.Local)
        {
            // Whoever comes second is answered as the first was.
            Assert.Equal(answers[0].Expect(200).Value("ETag"), Assert.Single(answers.Select(answer => answer.Expect(200).Value("ETag")).Distinct()));
        }

        Assert.All(answers, answer => Assert.True(answer.Status is 200 or 404 or 409 or 500 or 503, $"{answer.Status} {answer.Text}"));
        Assert.Equal(Bytes(100_000), (await s3.GetAsync("/k")).Expect(200).Body);
    });

    [Theory, EverySetup]
    public Task DeleteWhileReading_IsWholeOrNotThere(Setup setup) => RunAsync(setup, async s3 =>
    {
        var body = Bytes(400_000);
        for (var round = 0; round < 10; round++)
        {
            (await s3.PutAsync("/k", body)).Expect(200);
            var answers = await AtOnceAsync(s3, 5, (other, i) => i == 0 ? other.DeleteAsync("/k") : other.GetAsync("/k"));
            Assert.All(answers.Skip(1), answer => Assert.True(answer.Status == 404 || (answer.Status == 200 && answer.Body.AsSpan().SequenceEqual(body)), $"{answer.Status}, {answer.Body.Length} bytes"));
            (await s3.GetAsync("/k")).Expect(404, "NoSuchKey");
        }
    });

    [Theory]
    [InlineData(Setup.Local)]
    [InlineData(Setup.Chained)]
    public Task RacingConditionalCompletes_ExactlyOneWins(Setup setup) => RunAsync(setup, async s3 =>
    {
        const int Writers = 8;
        var etag = "";
        for (var round = 0; round < 4; round++)
        {
            // First who creates it, then who replaces just that version.
            var condition = round % 2 == 0 ? ("If-None-Match", "*") : ("If-Match", etag);
            var key = $"/k{round / 2}";
            var uploads = new (string Upload, string Part)[Writers];
            for (var i = 0; i < Writers; i++)
            {
                var upload = await s3.CreateUploadAsync(key);
                uploads[i] = (upload, await s3.UploadPartAsync(key, upload, 1, Bytes(1000, (100 * round) + i)));
            }

            var answers = await AtOnceAsync(s3, Writers, (other, i) => other.CompleteAsync(key, uploads[i].Upload, [(1, uploads[i].Part)], condition));
            var winner = Assert.Single(Enumerable.Range(0, Writers), i => answers[i].Status == 200);
            Assert.All(answers.Where((_, i) => i != winner), answer => answer.Expect(412, "PreconditionFailed"));
            var read = (await s3.GetAsync(key)).Expect(200);
            Assert.Equal(Bytes(1000, (100 * round) + winner), read.Body);
            etag = read.ETag!;
        }
    });

    [Theory, EverySetup]
    public Task DeletionsWhileListing_LoseNoKeyThatStays(Setup setup) => RunAsync(setup, async s3 =>
    {
        const int Keys = 120;
        await AtOnceAsync(s3, 8, async (other, i) =>
        {
            Answer? last = null;
            for (var key = i; key < Keys; key += 8)
            {
                last = (await other.PutAsync($"/k{key:000}", "x")).Expect(200);
            }

            return last!;
        });
        var stay = Enumerable.Range(0, Keys).Where(key => key % 3 == 0).Select(key => $"k{key:000}").ToHashSet(StringComparer.Ordinal);
        using var done = new CancellationTokenSource();
        var lister = Task.Run(async () =>
        {
            await using var other = s3.Another();
            var listings = 0;
            bool last;
            do
            {
                last = done.IsCancellationRequested;
                var seen = new List<string>();
                var token = "";
                do
                {
                    var page = (await other.GetAsync($"?list-type=2&max-keys=7{token}")).Expect(200);
                    seen.AddRange(page.Values("Contents", "Key"));
                    token = page.Value("NextContinuationToken") is { } next ? "&continuation-token=" + Uri.EscapeDataString(next) : "";
                }
                while (token.Length > 0);
                Assert.Equal(seen.Distinct().Order(StringComparer.Ordinal), seen);
                Assert.Subset(seen.ToHashSet(StringComparer.Ordinal), stay);
                listings++;
            }
            while (!last);
            return listings;
        });
        await AtOnceAsync(s3, 4, async (other, i) =>
        {
            Answer? last = null;
            for (var key = i; key < Keys; key += 4)
            {
                if (key % 3 != 0)
                {
                    last = (await other.DeleteAsync($"/k{key:000}")).Expect(204);
                }
            }

            return last!;
        });
        await done.CancelAsync();
        Assert.True(await lister >= 1);
        Assert.Equal(stay.Order(StringComparer.Ordinal), (await s3.GetAsync("?list-type=2")).Expect(200).Values("Contents", "Key"));
    });

    private static byte[] Version(byte version, int length)
    {
        var body = new byte[length];
        body.AsSpan().Fill(version);
        return body;
    }

    private static async Task<Answer[]> AtOnceAsync(S3Wire s3, int clients, Func<S3Wire, int, Task<Answer>> act)
    {
        var gate = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var tasks = Enumerable.Range(0, clients).Select(async i =>
        {
            await using var other = s3.Another();
            await gate.Task;
            return await act(other, i);
        }).ToArray();
        gate.SetResult();
        return await Task.WhenAll(tasks);
    }
}
