namespace Proxy.S3.Checksums;

/// <summary>Arithmetic of polynomials over GF(2) modulo a CRC's polynomial, bits reflected: what puts CRCs together without the bytes.</summary>
/// <remarks>The coefficient of x^0 is the top bit. Thread-safe.</remarks>
internal sealed class GaloisField
{
    private readonly ulong _polynomial;
    private readonly ulong _one;

    // x^(8 * 2^k) for each bit k of a length in bytes.
    private readonly ulong[] _byteShifts = new ulong[64];

    /// <param name="reflectedPolynomial">Without the leading term.</param>
    public GaloisField(ulong reflectedPolynomial, int width)
    {
        _polynomial = reflectedPolynomial;
        _one = 1UL << (width - 1);
        var power = _one >> 8;
        for (var i = 0; i < _byteShifts.Length; i++)
        {
            _byteShifts[i] = power;
            power = Multiply(power, power);
        }
    }

    public static GaloisField Crc32 { get; } = new(0xEDB88320, 32);

    public static GaloisField Crc32C { get; } = new(0x82F63B78, 32);

    public static GaloisField Crc64Nvme { get; } = new(0x9A6C9329AC4BC9B5, 64);

    /// <summary>The CRC of A followed by B, from the CRC of each and the length of B in bytes. For CRCs that start from and end with all ones.</summary>
    public ulong Combine(ulong first, ulong second, long secondLength) => Multiply(first, ShiftOf(secondLength)) ^ second;

    /// <summary>x^(8 · bytes) modulo the polynomial.</summary>
    public ulong ShiftOf(long bytes)
    {
        var shift = _one;
        for (var k = 0; bytes != 0; k++, bytes >>= 1)
        {
            if ((bytes & 1) != 0)
            {
                shift = Multiply(shift, _byteShifts[k]);
            }
        }

        return shift;
    }

    private ulong Multiply(ulong a, ulong b)
    {
        ulong product = 0;
        for (var bit = _one; bit != 0; bit >>= 1)
        {
            if ((a & bit) != 0)
            {
                product ^= b;
            }

            // b times x: reflected, so towards the low bit.
            b = (b & 1) != 0 ? (b >> 1) ^ _polynomial : b >> 1;
        }

        return product;
    }
}
