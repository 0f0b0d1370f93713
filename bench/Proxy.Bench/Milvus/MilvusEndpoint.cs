using Proxy.Bench.Http;
using Proxy.Bench.Peers;
using Proxy.Bench.Shape;

namespace Proxy.Bench.Milvus;

/// <summary>One endpoint of a run, with what the bench can do to it beside asking it.</summary>
/// <param name="Target">Where clients go.</param>
/// <param name="Origin">Where data is put that the endpoint must not have seen: its backend; the endpoint itself when that is not known.</param>
/// <param name="Backend">Between endpoint and backend, when the bench started them: counts, throttles, stops. Null otherwise.</param>
/// <param name="Proxy">When the bench started it; else null.</param>
internal sealed record MilvusEndpoint(string Name, S3Target Target, S3Target Origin, RelayServer? Backend, ProxyServer? Proxy);
