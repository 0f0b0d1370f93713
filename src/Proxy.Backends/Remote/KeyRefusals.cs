using System.Collections.Frozen;
using System.Net;
using Microsoft.Extensions.Logging;
using Proxy.S3.Errors;

namespace Proxy.Backends.Remote;

/// <summary>Knows a backend's refusal of our own keys there from one of what was asked, and tells the operator of both.</summary>
/// <remarks>
/// Asked with every 400, 401 and 403 of a backend, whoever sent the request. A client's keys are right or it would not have come so far: it is told of an error of
/// the proxy's, which clients ask again for, and never of the keys. A clock that is wrong comes here only where <see cref="BackendClock"/> could not follow it. Thread-safe.
/// </remarks>
public sealed partial class KeyRefusals
{
    private static readonly FrozenSet<string> Codes = FrozenSet.ToFrozenSet(
        ["InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken", "ExpiredToken", "AuthorizationHeaderMalformed"], StringComparer.Ordinal);

    /// <summary>A refusal of HEAD says no code: for this long it is taken for the last one of its status that did.</summary>
    private static readonly TimeSpan Remembered = TimeSpan.FromSeconds(10);

    private readonly string _backend;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly LogGate _refusals;
    private readonly LogGate _denials;
    private volatile Refused? _last;

    internal KeyRefusals(string backend, TimeProvider time, ILogger logger)
    {
        (_backend, _time, _logger) = (backend, time, logger);
        (_refusals, _denials) = (new LogGate(time), new LogGate(time));
    }

    internal static bool IsOne(HttpStatusCode status, string? code) => (int)status is 400 or 401 or 403 && code is not null && (Codes.Contains(code) || BackendClock.IsAboutTime(code));

    /// <param name="code">Of the error document; null when there was none.</param>
    /// <returns>What the client is told instead; null when the answer is about what it asked.</returns>
    public S3Exception? Judge(HttpStatusCode status, string? code, string? resource)
    {
        if ((int)status is not (400 or 401 or 403))
        {
            return null;
        }

        if (code is not null)
        {
            Remember(status, code);
        }
        else if (_last is { } last && last.Status == status && _time.GetElapsedTime(last.At) < Remembered)
        {
            code = last.Code;
        }

        if (IsOne(status, code))
        {
            if (_refusals.TryPass(out var before))
            {
                LogRefused(_backend, code!, before);
            }

            return AsError(code!, resource, cause: null);
        }

        if ((int)status != 400 && _denials.TryPass(out var denied))
        {
            LogDenied(_backend, code ?? status.ToString(), denied);
        }

        return null;
    }

    /// <summary>Only what the backend said: a guess that counted as its word would be renewed by the next guess, for as long as such HEADs come.</summary>
    private void Remember(HttpStatusCode status, string code)
    {
        if (IsOne(status, code))
        {
            _last = new Refused(code, status, _time.GetTimestamp());
        }
        else if (_last?.Status == status)
        {
            _last = null;
        }
    }

    internal static S3Exception AsError(string code, string? resource, Exception? cause)
        => new(S3ErrorCode.InternalError, resource, $"The backend refuses the proxy's own credentials ({code}): check the backend's AccessKey, SecretKey, Region and clock.", cause);

    [LoggerMessage(2011, LogLevel.Warning, "Backend {Backend} refuses the proxy's own credentials ({Code}), and clients are told InternalError: check its AccessKey, SecretKey, Region and clock. {Before} more of these since the last such line")]
    private partial void LogRefused(string backend, string code, int before);

    [LoggerMessage(2012, LogLevel.Warning, "Backend {Backend} denies a request ({Code}), and its client is told so: if it should be allowed, the proxy's own key there lacks the right. {Before} more of these since the last such line")]
    private partial void LogDenied(string backend, string code, int before);

    private sealed record Refused(string Code, HttpStatusCode Status, long At);
}
