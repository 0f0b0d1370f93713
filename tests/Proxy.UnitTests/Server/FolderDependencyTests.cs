using System.Reflection;
using System.Reflection.Emit;
using System.Reflection.Metadata;
using System.Reflection.Metadata.Ecma335;
using System.Reflection.PortableExecutable;

namespace Proxy.UnitTests.Server;

/// <summary>Folders point one way: who may use whom, held against the compiled assemblies.</summary>
/// <remarks>A project's root namespace is its front door: it may use every folder below it, and only the front door is used from outside.</remarks>
public sealed class FolderDependencyTests
{
    // Each folder may use the folders before it in its own project, and what is listed here of others.
    private static readonly Dictionary<string, string[]> Layers = new(StringComparer.Ordinal)
    {
        ["Proxy.S3"] = ["Errors", "Objects", "Requests", "Checksums", "Auth", "Streaming", "Xml"],
        ["Proxy.Cache"] = ["Blocks", "Tiers", "Policy", "Invalidation", "Metadata", "Fills", "Reads", "Captures", "Admin", ""],
        ["Proxy.Backends"] = ["Remote", "Local"],
    };

    private static readonly Dictionary<string, string[]> Projects = new(StringComparer.Ordinal)
    {
        ["Proxy.S3"] = [],
        ["Proxy.Cache"] = ["Proxy.S3"],
        ["Proxy.Backends"] = ["Proxy.S3"],
        ["Proxy.Server"] = ["Proxy.S3", "Proxy.Cache", "Proxy.Backends"],
    };

    private static readonly Dictionary<int, OpCode> Instructions = typeof(OpCodes).GetFields(BindingFlags.Public | BindingFlags.Static)
        .Select(field => (OpCode)field.GetValue(null)!).ToDictionary(code => code.Value & 0xFFFF);

    public static TheoryData<string> ProjectNames => [.. Projects.Keys];

    [Theory]
    [MemberData(nameof(ProjectNames))]
    public void Project_UsesOnlyWhatStandsBelowIt(string project)
    {
        var used = Assembly.Load(project).GetReferencedAssemblies().Select(a => a.Name!).Where(Projects.ContainsKey);
        Assert.Empty(used.Except(Projects[project]));
    }

    [Fact]
    public void Faster_IsKnownToTheNvmeFolderOnly() => Assert.Equal(["Proxy.Cache.Tiers.Nvme"], FoldersThatUse("Proxy.Cache", "FASTER."));

    [Fact]
    public void AwsSdk_IsKnownToTheRemoteFolderOnly() => Assert.Equal(["Proxy.Backends.Remote"], FoldersThatUse("Proxy.Backends", "Amazon"));

    [Fact]
    public void Yarp_IsKnownToForwardingAndTheHostOnly() =>
        Assert.Empty(FoldersThatUse("Proxy.Server", "Yarp.").Except(["Proxy.Server.Forwarding", "Proxy.Server.Hosting"]));

    [Theory]
    [InlineData("Proxy.Backends", "Local", "Remote")]
    [InlineData("Proxy.Backends", "Remote", "Local")]
    [InlineData("Proxy.Cache", "Blocks", "Tiers")]
    [InlineData("Proxy.Cache", "Blocks", "Fills")]
    [InlineData("Proxy.Cache", "Tiers", "Fills")]
    [InlineData("Proxy.Cache", "Tiers", "Metadata")]
    [InlineData("Proxy.Cache", "Tiers", "Captures")]
    [InlineData("Proxy.Cache", "Policy", "Metadata")]
    [InlineData("Proxy.Cache", "Policy", "Fills")]
    [InlineData("Proxy.Cache", "Policy", "Tiers")]
    [InlineData("Proxy.Cache", "Invalidation", "Metadata")]
    [InlineData("Proxy.Cache", "Invalidation", "Admin")]
    [InlineData("Proxy.Cache", "Metadata", "Fills")]
    [InlineData("Proxy.Cache", "Fills", "Reads")]
    [InlineData("Proxy.Cache", "Fills", "Captures")]
    [InlineData("Proxy.S3", "Errors", "Requests")]
    [InlineData("Proxy.S3", "Objects", "Requests")]
    [InlineData("Proxy.S3", "Objects", "Xml")]
    [InlineData("Proxy.S3", "Requests", "Auth")]
    [InlineData("Proxy.S3", "Auth", "Streaming")]
    [InlineData("Proxy.S3", "Checksums", "Streaming")]
    [InlineData("Proxy.S3", "Streaming", "Xml")]
    [InlineData("Proxy.Server", "Transport", "Requests")]
    [InlineData("Proxy.Server", "Transport", "HotReads")]
    [InlineData("Proxy.Server", "Requests", "Hosting")]
    [InlineData("Proxy.Server", "Routing", "Requests")]
    [InlineData("Proxy.Server", "Routing", "Operations")]
    [InlineData("Proxy.Server", "Telemetry", "Operations")]
    [InlineData("Proxy.Server", "Forwarding", "Operations")]
    public void Folder_DoesNotUseTheOneAbove(string project, string folder, string above) =>
        Assert.DoesNotContain($"{project}.{folder}", FoldersThatUse(project, $"{project}.{above}"));

    [Fact]
    public void EveryFolderOfTheList_IsThere()
    {
        foreach (var (project, folders) in Layers)
        {
            var there = Assembly.Load(project).GetTypes().Select(type => type.Namespace).ToHashSet();
            Assert.All(folders.Where(folder => folder is not ("" or "Admin")), folder => Assert.Contains(there, n => n?.StartsWith($"{project}.{folder}", StringComparison.Ordinal) == true));
        }
    }

    /// <summary>Namespaces of a project whose types mention a type of the given namespace in a signature, a field or a body.</summary>
    private static string[] FoldersThatUse(string project, string prefix)
    {
        using var file = File.OpenRead(Assembly.Load(project).Location);
        using var image = new PEReader(file);
        var metadata = image.GetMetadataReader();
        var wanted = new HashSet<int>();
        foreach (var handle in metadata.TypeReferences)
        {
            if (Matches(metadata.GetString(metadata.GetTypeReference(handle).Namespace)))
            {
                wanted.Add(MetadataToken(handle));
            }
        }

        foreach (var handle in metadata.TypeDefinitions)
        {
            if (Matches(NamespaceOf(metadata, handle)))
            {
                wanted.Add(MetadataToken(handle));
            }
        }

        var users = new SortedSet<string>(StringComparer.Ordinal);
        foreach (var handle in metadata.TypeDefinitions)
        {
            var type = metadata.GetTypeDefinition(handle);
            var home = NamespaceOf(metadata, handle);
            if (home.Length > 0 && !Matches(home) && UsesAny(image, metadata, type, wanted))
            {
                users.Add(home);
            }
        }

        return [.. users];

        bool Matches(string name) => name.StartsWith(prefix, StringComparison.Ordinal) && (prefix.EndsWith('.') || name.Length == prefix.Length || name[prefix.Length] == '.' || prefix == "Amazon");
    }

    private static bool UsesAny(PEReader image, MetadataReader metadata, TypeDefinition type, HashSet<int> wanted)
    {
        foreach (var field in type.GetFields())
        {
            if (SignatureMentions(metadata, metadata.GetFieldDefinition(field).Signature, wanted))
            {
                return true;
            }
        }

        foreach (var handle in type.GetMethods())
        {
            var method = metadata.GetMethodDefinition(handle);
            if (SignatureMentions(metadata, method.Signature, wanted))
            {
                return true;
            }

            if (method.RelativeVirtualAddress == 0)
            {
                continue;
            }

            foreach (var token in TokensIn(image.GetMethodBody(method.RelativeVirtualAddress).GetILBytes()!))
            {
                if (wanted.Contains(token) || MemberParentIsWanted(metadata, token, wanted))
                {
                    return true;
                }
            }
        }

        return false;
    }

    /// <summary>Of every instruction that takes one. Each is walked over whole: bytes of an operand look like instructions too.</summary>
    private static IEnumerable<int> TokensIn(byte[] body)
    {
        for (var at = 0; at < body.Length;)
        {
            var code = body[at] == 0xFE ? 0xFE00 | body[at + 1] : body[at];
            at += body[at] == 0xFE ? 2 : 1;
            var operand = Instructions[code].OperandType;
            if (operand is OperandType.InlineField or OperandType.InlineMethod or OperandType.InlineTok or OperandType.InlineType)
            {
                yield return BitConverter.ToInt32(body, at);
            }

            at += operand switch
            {
                OperandType.InlineNone => 0,
                OperandType.ShortInlineBrTarget or OperandType.ShortInlineI or OperandType.ShortInlineVar => 1,
                OperandType.InlineVar => 2,
                OperandType.InlineI8 or OperandType.InlineR => 8,
                OperandType.InlineSwitch => 4 + (4 * BitConverter.ToInt32(body, at)),
                _ => 4,
            };
        }
    }

    private static bool MemberParentIsWanted(MetadataReader metadata, int token, HashSet<int> wanted)
    {
        var table = token >>> 24;
        var row = token & 0xFFFFFF;
        switch (table)
        {
            case 0x0A when row >= 1 && row <= metadata.GetTableRowCount(TableIndex.MemberRef):
                var member = metadata.GetMemberReference((MemberReferenceHandle)MetadataTokens.Handle(token));
                return wanted.Contains(MetadataToken(member.Parent));
            case 0x06 when row >= 1 && row <= metadata.GetTableRowCount(TableIndex.MethodDef):
                var method = metadata.GetMethodDefinition((MethodDefinitionHandle)MetadataTokens.Handle(token));
                return wanted.Contains(MetadataToken(method.GetDeclaringType()));
            default:
                return false;
        }
    }

    private static bool SignatureMentions(MetadataReader metadata, BlobHandle signature, HashSet<int> wanted)
    {
        var reader = metadata.GetBlobReader(signature);
        while (reader.RemainingBytes > 0)
        {
            var code = reader.ReadByte();
            if (code is 0x11 or 0x12 && reader.RemainingBytes > 0) // ELEMENT_TYPE_VALUETYPE, ELEMENT_TYPE_CLASS: a coded type follows
            {
                var type = reader.ReadTypeHandle();
                if (!type.IsNil && wanted.Contains(MetadataToken(type)))
                {
                    return true;
                }
            }
        }

        return false;
    }

    private static string NamespaceOf(MetadataReader metadata, TypeDefinitionHandle handle)
    {
        var type = metadata.GetTypeDefinition(handle);
        while (type.GetDeclaringType() is { IsNil: false } outer)
        {
            type = metadata.GetTypeDefinition(outer);
        }

        return metadata.GetString(type.Namespace);
    }

    private static int MetadataToken(EntityHandle handle) => MetadataTokens.GetToken(handle);
}
