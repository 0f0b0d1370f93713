// What the two JavaScript clients' checks share: named checks that all run, and small tools.
import crypto from 'node:crypto';
import assert from 'node:assert/strict';

export const [endpoint, accessKey, secretKey] = process.argv.slice(2);
export const MiB = 1 << 20;
export const partSize = 8 * MiB;
export const small = Buffer.from('a few bytes\n');
export const medium = crypto.randomBytes(345_678);
export const large = crypto.randomBytes(20 * MiB + 77);
export const unicodeKeys = ['u/αβ/漢字.bin', 'u/🦊', 'u/a b+c&d=e?f#g', 'u/100%25 sure', `u/it's "so"`, 'u/~!*()'];
export const listedKeys = ['a', 'b', 'c'].flatMap(folder => [0, 1, 2, 3, 4, 5].map(n => `list/${folder}/${n}`));

export const md5 = bytes => crypto.createHash('md5').update(bytes).digest('hex');
export const bucketName = prefix => `${prefix}-${crypto.randomBytes(5).toString('hex')}`;
export const sameBytes = (actual, expected) =>
  assert.ok(Buffer.compare(Buffer.from(actual), expected) === 0, `${actual.length} bytes that differ from the ${expected.length} due`);
export function* pieces(bytes, size = 64 << 10) {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

const checks = [];
export const check = (name, run) => checks.push({ name, run });

// Runs them in order; each failure is its own, the others still run.
export async function finish(client) {
  let failed = 0;
  for (const { name, run } of checks) {
    try {
      await run();
      console.log('PASS', name);
    } catch (error) {
      failed++;
      console.log('FAIL', name, '-', error.code ?? error.name, String(error.message).replaceAll('\n', ' ').slice(0, 300));
    }
  }
  console.log(`${client}: ${checks.length - failed} passed, ${failed} failed`);
  process.exit(failed ? 1 : 0);
}
