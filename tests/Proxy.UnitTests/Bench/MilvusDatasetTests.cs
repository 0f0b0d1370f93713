using Proxy.Bench.Workloads;

namespace Proxy.UnitTests.Bench;

public sealed class MilvusDatasetTests
{
    [Fact]
    public void Describe_SameParameters_SameObjects()
        => Assert.Equal(MilvusDataset.Describe("files", 1L << 30, 2, 3), MilvusDataset.Describe("files/", 1L << 30, 2, 3));

    [Theory]
    [InlineData(1L << 20, 1)]
    [InlineData(1L << 30, 2)]
    [InlineData(5L << 30, 7)]
    public void Describe_AnySize_IsShapedAsMilvusWrites(long size, int segments)
    {
        var objects = MilvusDataset.Describe("files", size, segments, 1);
        Assert.Equal(objects.Count, objects.Select(item => item.Key).Distinct(StringComparer.Ordinal).Count());
        Assert.All(objects, item => Assert.InRange(item.Size, 1, size + (1 << 20)));
        Assert.InRange(objects.Sum(item => item.Size), size, size + (size / 20) + (segments * 200_000L));
        var slices = objects.Where(item => item.Kind == ObjectKind.IndexSlice).ToList();
        Assert.True(slices.Count(item => item.Size == MilvusDataset.SliceBytes) >= slices.Count - segments);
        Assert.Equal(segments, objects.Count(item => item.Kind == ObjectKind.SliceMeta));
    }

    [Fact]
    public void Describe_OtherSeed_OtherSizesAndBytes()
    {
        var one = MilvusDataset.Describe("files", 1L << 30, 2, 1);
        var two = MilvusDataset.Describe("files", 1L << 30, 2, 2);
        Assert.NotEqual(one.Sum(item => item.Size), two.Sum(item => item.Size));
        Assert.NotEqual(one[0].Content, two[0].Content);
    }

    [Fact]
    public void DescribeSegments_AGiBOfVectors_IsShapedAsMilvusLoadsIt()
    {
        var objects = MilvusDataset.DescribeSegments("files", 1L << 30, 2, 1);
        Assert.Equal(objects.Count, objects.Select(item => item.Key).Distinct(StringComparer.Ordinal).Count());
        Assert.Equal(2 * 67, objects.Count(item => item.Kind == ObjectKind.IndexSlice && item.Size == MilvusDataset.SliceBytes));
        Assert.Equal(2, objects.Count(item => item.Kind == ObjectKind.SliceMeta));
        var (scalars, vectors) = (objects.Where(MilvusDataset.IsScalars).ToList(), objects.Where(item => item.Kind == ObjectKind.InsertLog && !MilvusDataset.IsScalars(item)).ToList());
        Assert.Equal((2, 2), (scalars.Count, vectors.Count));
        Assert.All(scalars, item => Assert.InRange(item.Size, 8 << 20, 16 << 20));
        Assert.All(vectors, item => Assert.InRange(item.Size, (1L << 30) / 20 * 19, 1L << 30));
        Assert.Empty(objects.Select(item => item.Key).Intersect(MilvusDataset.DescribeSegments("files", 1L << 30, 2, 1, first: 2).Select(item => item.Key)));
    }
}
