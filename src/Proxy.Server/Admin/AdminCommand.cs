using System.CommandLine;
using Proxy.Cache.Admin;
using Proxy.Server.Hosting;

namespace Proxy.Server.Admin;

/// <summary><c>admin …</c>: the admin API of a running proxy from a terminal.</summary>
internal static class AdminCommand
{
    private static readonly Option<string> Admin = new("--admin")
    {
        Description = "Admin address of the running proxy, or its URL.",
        HelpName = "HOST:PORT",
        DefaultValueFactory = _ => "127.0.0.1:9001",
        Recursive = true,
    };

    private static readonly Option<string> AccessKey = Key("--access-key", "Access key of a credential that may do everything. Default MINIO_ROOT_USER, then minioadmin.", "MINIO_ROOT_USER");
    private static readonly Option<string> SecretKey = Key("--secret-key", "Its secret key. Default MINIO_ROOT_PASSWORD, then minioadmin.", "MINIO_ROOT_PASSWORD");
    private static readonly Option<bool> AsJson = new("--json") { Description = "Print the API's JSON and nothing else.", Recursive = true };

    private static readonly Argument<string> Target = new("bucket/prefix")
    {
        Description = "A bucket, or a bucket and the beginning of its keys. With Milvus ids, the bucket.",
    };

    private static readonly Option<bool> Exact = new("--exact") { Description = "The target is one key, not a prefix." };
    private static readonly Option<long> Collection = Id("--collection", "Milvus collection.");
    private static readonly Option<long> Partition = Id("--partition", "Milvus partition.");
    private static readonly Option<long> Segment = Id("--segment", "Milvus segment.");
    private static readonly Option<long> IndexBuild = Id("--build", "Milvus index build.");

    public static Command Build()
    {
        var command = new Command("admin", "Purge, warm, pin, check and explain what a running proxy caches.") { Admin, AccessKey, SecretKey, AsJson };
        command.Add(Selecting("purge", "Forget what is cached; the backend's objects stay.", (parsed, session, cancellation) => session.PurgeAsync(Selection(parsed), cancellation)));
        command.Add(WarmSubcommand());
        command.Add(Selecting("pin", "Keep in the cache what is cached, and what will be.", (parsed, session, cancellation) => session.PinAsync(Selection(parsed), cancellation)));
        command.Add(Identified("unpin", "pin", "Let a pin go.", (id, session, cancellation) => session.UnpinAsync(id, cancellation)));
        command.Add(Plain("pins", "List the pins and what they hold.", (session, cancellation) => session.PinsAsync(cancellation)));
        command.Add(Selecting("check", "How much of what the backend has is cached.", (parsed, session, cancellation) => session.CheckAsync(Selection(parsed), cancellation)));
        command.Add(ExplainSubcommand());
        command.Add(Plain("stats", "Hits, tiers and backends at this moment.", (session, cancellation) => session.StatsAsync(cancellation)));
        var jobs = Plain("jobs", "List warm jobs.", (session, cancellation) => session.JobsAsync(cancellation));
        jobs.Add(Identified("cancel", "job", "Cancel a warm job.", (id, session, cancellation) => session.CancelAsync(id, cancellation)));
        jobs.Add(Identified("follow", "job", "Show a warm job's progress until it ends.", (id, session, cancellation) => session.FollowAsync(id, cancellation)));
        command.Add(jobs);
        return command;
    }

    private static Command WarmSubcommand()
    {
        var rate = new Option<string?>("--rate") { Description = "At most so much a second, such as 200MiB.", HelpName = "SIZE" };
        var concurrency = new Option<int>("--concurrency") { Description = "Objects at once, 1 to 32.", DefaultValueFactory = _ => WarmJobs.DefaultConcurrency };
        var noWait = new Option<bool>("--no-wait") { Description = "Start the job and do not wait for it." };
        var warm = Selecting("warm", "Bring objects from the backend into the cache, with progress.", (parsed, session, cancellation) =>
        {
            long? bytes = null;
            if (parsed.GetValue(rate) is { } text)
            {
                bytes = ByteSize.TryParse(text, out var parsedRate) && parsedRate > 0 ? parsedRate : throw new AdminClientException($"--rate {text}: write it as 64MiB or 1GiB.");
            }

            return session.WarmAsync(Selection(parsed), bytes, parsed.GetValue(concurrency), !parsed.GetValue(noWait), cancellation);
        });
        warm.Add(rate);
        warm.Add(concurrency);
        warm.Add(noWait);
        return warm;
    }

    private static Command ExplainSubcommand()
    {
        var key = new Argument<string>("bucket/key") { Description = "One object." };
        var explain = new Command("explain", "What is known of one key: its class, where it is cached, since when, how often read.") { key };
        explain.SetAction((parsed, cancellation) => RunAsync(parsed, session => session.ExplainAsync(Split(parsed.GetValue(key)!), cancellation), cancellation));
        return explain;
    }

    private static Command Selecting(string name, string description, Func<ParseResult, AdminSession, CancellationToken, Task<int>> act)
    {
        var command = new Command(name, description) { Target, Exact, Collection, Partition, Segment, IndexBuild };
        command.SetAction((parsed, cancellation) => RunAsync(parsed, session => act(parsed, session, cancellation), cancellation));
        return command;
    }

    private static Command Plain(string name, string description, Func<AdminSession, CancellationToken, Task<int>> act)
    {
        var command = new Command(name, description);
        command.SetAction((parsed, cancellation) => RunAsync(parsed, session => act(session, cancellation), cancellation));
        return command;
    }

    private static Command Identified(string name, string what, string description, Func<string, AdminSession, CancellationToken, Task<int>> act)
    {
        var id = new Argument<string>(what) { Description = $"The {what}'s id." };
        var command = new Command(name, description) { id };
        command.SetAction((parsed, cancellation) => RunAsync(parsed, session => act(parsed.GetValue(id)!, session, cancellation), cancellation));
        return command;
    }

    private static async Task<int> RunAsync(ParseResult parsed, Func<AdminSession, Task<int>> act, CancellationToken cancellation)
    {
        try
        {
            using var client = new AdminClient(parsed.GetValue(Admin)!, parsed.GetValue(AccessKey)!, parsed.GetValue(SecretKey)!);
            return await act(new AdminSession(client, parsed.GetValue(AsJson)));
        }
        catch (AdminClientException e)
        {
            await Console.Error.WriteLineAsync(e.Message);
            return 1;
        }
        catch (UriFormatException)
        {
            await Console.Error.WriteLineAsync($"--admin {parsed.GetValue(Admin)}: write it as HOST:PORT or https://HOST:PORT.");
            return 1;
        }
        catch (OperationCanceledException) when (cancellation.IsCancellationRequested)
        {
            return 130;
        }
    }

    private static KeySelection Selection(ParseResult parsed)
    {
        var (bucket, rest) = Split(parsed.GetValue(Target)!);
        var exact = parsed.GetValue(Exact);
        return new KeySelection
        {
            Bucket = bucket,
            Prefix = exact ? "" : rest,
            Key = exact ? rest : null,
            Collection = parsed.GetValue(Collection),
            Partition = parsed.GetValue(Partition),
            Segment = parsed.GetValue(Segment),
            Build = parsed.GetValue(IndexBuild),
        };
    }

    private static (string Bucket, string Key) Split(string target) => target.Split('/', 2) is [var bucket, var rest] ? (bucket, rest) : (target, "");

    private static Option<long> Id(string name, string description) => new(name) { Description = description, HelpName = "ID" };

    private static Option<string> Key(string name, string description, string variable) => new(name)
    {
        Description = description,
        Recursive = true,
        DefaultValueFactory = _ => Environment.GetEnvironmentVariable(variable) is { Length: > 0 } value ? value : "minioadmin",
    };
}
