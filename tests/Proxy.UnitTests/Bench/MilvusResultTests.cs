using Proxy.Bench.Http;
using Proxy.Bench.Milvus;
using Proxy.Bench.Report;

namespace Proxy.UnitTests.Bench;

/// <summary>What is made of several rounds, and what is held against the direct endpoint.</summary>
public sealed class MilvusResultTests
{
    private static readonly S3Target Backend = new(new Uri("http://127.0.0.1:9000"), "key", "secret", "us-east-1", "a-bucket");
    private static readonly MilvusEndpoint Direct = new("direct", Backend) { Origin = Backend };
    private static readonly MilvusEndpoint Cached = new("proxy", Backend with { Endpoint = new Uri("http://127.0.0.1:9001") }) { Origin = Backend };

    [Theory]
    [InlineData(new[] { 3.0, 1, 2 }, 2)]
    [InlineData(new[] { 4.0, 1, 2, 3 }, 2.5)]
    [InlineData(new[] { 7.0 }, 7)]
    public void Figures_AreMedians(double[] rounds, double median)
        => Assert.Equal(median, new MilvusResult(Named("W5"), Direct, [.. rounds.Select(value => Round(("cold load s", value)))]).Figures["cold load s"]);

    [Fact]
    public void Latencies_AreOfAllRoundsTogether()
    {
        var (fast, slow) = (Round(), Round());
        for (var i = 0; i < 99; i++)
        {
            fast.Report.Record("GET", TimeSpan.FromMilliseconds(1), cacheOutcome: null);
        }

        slow.Report.Record("GET", TimeSpan.FromMilliseconds(100), cacheOutcome: null);
        var result = new MilvusResult(Named("W5"), Direct, [fast, slow]);
        Assert.Equal(100, result.Operations["GET"].Count);
        Assert.Equal(1, result.MillisecondsAt("GET", 50), 1);
        Assert.Equal(100, result.MillisecondsAt("GET", 100), 0);
        Assert.True(double.IsNaN(result.MillisecondsAt("PUT", 50)));
    }

    [Fact]
    public void Expectation_MissedOnce_IsMissed()
    {
        var met = Round() with { Expectations = [new Expectation("nothing is asked", true, "0 requests")] };
        var missed = Round() with { Expectations = [new Expectation("nothing is asked", false, "3 requests")] };
        Assert.Equal("MISSED nothing is asked: 3 requests", Assert.Single(new MilvusResult(Named("W6"), Cached, [met, missed, met]).Expectations).ToString());
        Assert.True(Assert.Single(new MilvusResult(Named("W6"), Cached, [met, met]).Expectations).IsMet);
    }

    [Theory]
    [InlineData(50, true)]
    [InlineData(60, false)]
    public void Targets_ColdLoadOfTwoReplicas_CostsHalf(double backendMiB, bool isMet)
    {
        var direct = new MilvusResult(Named("W5"), Direct, [Round(("cold load s", 2), ("cold load backend MiB", 100))]);
        var cached = new MilvusResult(Named("W5"), Cached, [Round(("cold load s", 1), ("cold load backend MiB", backendMiB))]);
        var (of, target) = Assert.Single(Targets.Of([direct, cached]));
        Assert.Equal((cached, isMet), (of, target.IsMet));
        Assert.Empty(Targets.Of([cached]));    // nothing to compare with
    }

    [Fact]
    public void Targets_OfAWrongResult_AreNone()
    {
        var direct = new MilvusResult(Named("W5"), Direct, [Round(("cold load s", 2), ("cold load backend MiB", 100))]);
        var wrong = Round(("cold load s", 1), ("cold load backend MiB", 50));
        wrong.Report.AddFinding("a byte");
        Assert.Empty(Targets.Of([direct, new MilvusResult(Named("W5"), Cached, [wrong])]));
    }

    [Fact]
    public void Lines_PutEachFigureWithItsPart()
    {
        var round = Round(("wal s", 1), ("wal compaction s", 2), ("ops", 3)) with { Parts = ["wal", "wal compaction"] };
        var lines = MilvusReport.Lines(new MilvusResult(Named("W1"), Direct, [round])).Split('\n');
        Assert.Equal(["      wal: s 1", "      wal compaction: s 2", "      ops 3"], lines[1..]);
    }

    private static MilvusWorkload Named(string name) => MilvusWorkload.Named(name);

    private static MilvusRound Round(params (string Name, double Value)[] figures)
        => new(1, new RunReport(), figures.ToDictionary(figure => figure.Name, figure => figure.Value), [], [], [], [], Skipped: null);
}
