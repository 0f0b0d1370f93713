namespace Proxy.Cache.Blocks;

/// <summary>Whether lending pays where it is done: what is hot and stays is lent, what comes and goes is copied.</summary>
/// <remarks>
/// Memory that goes back to the system after it was lent costs more than its own return: the system may break a large page up for it, and whatever is put there next is
/// slower to read, write and send until the kernel has joined it again. A memory tier of 64 MiB before 3 GiB on NVMe lost a fifth of its capacity to forty lent blocks
/// (bench/results/serving-path). So each byte that goes back must have been lent sixteen times, between what its return costs in copies on most machines (three to four) and on
/// that one (ninety); what did not pay is forgotten after some minutes. Thread-safe.
/// </remarks>
internal sealed class LendingAccount(TimeProvider time)
{
    private const int LentForEach = 16;
    private static readonly TimeSpan ForgottenAfter = TimeSpan.FromMinutes(5);

    private long _lentBytes;
    private long _returnedBytes;
    private long _since = time.GetTimestamp();

    /// <summary>Whether more blocks should be lent now.</summary>
    public bool Pays
    {
        get
        {
            if (Interlocked.Read(ref _lentBytes) >= LentForEach * Interlocked.Read(ref _returnedBytes))
            {
                return true;
            }

            var since = Interlocked.Read(ref _since);
            if (time.GetElapsedTime(since) < ForgottenAfter || Interlocked.CompareExchange(ref _since, time.GetTimestamp(), since) != since)
            {
                return false;
            }

            Interlocked.Exchange(ref _lentBytes, 0);
            Interlocked.Exchange(ref _returnedBytes, 0);
            return true;
        }
    }

    /// <summary>So much was sent from memory that is lent.</summary>
    public void Lent(int bytes) => Interlocked.Add(ref _lentBytes, bytes);

    /// <summary>So much memory that was lent is to go back to the system.</summary>
    public void Returned(int bytes) => Interlocked.Add(ref _returnedBytes, bytes);
}
