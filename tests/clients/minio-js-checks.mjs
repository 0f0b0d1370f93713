// minio-js-checks.mjs ENDPOINT ACCESS SECRET: MinIO's JavaScript client (signed streaming chunks over http), in a bucket of
// its own. Prints "PASS name" or "FAIL name - why"; exit code 1 when any failed.
import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import * as Minio from 'minio';
import { accessKey, bucketName, check, endpoint, finish, large, listedKeys, md5, medium, partSize, pieces, sameBytes, secretKey, small, unicodeKeys } from './checks.mjs';

const url = new URL(endpoint);
const connect = (access = accessKey, secret = secretKey) => new Minio.Client({
  endPoint: url.hostname, port: Number(url.port), useSSL: url.protocol === 'https:', region: 'us-east-1', partSize, accessKey: access, secretKey: secret,
});
const minio = connect();
const bucket = bucketName('minio-js');
const collect = async stream => {
  const parts = [];
  for await (const part of await stream) parts.push(part);
  return parts;
};
const get = async key => Buffer.concat(await collect(minio.getObject(bucket, key)));
const names = async stream => (await collect(stream)).map(item => item.name ?? item.prefix);
const refused = async (codes, action) => {
  const error = await action().then(() => assert.fail('was not refused'), e => e);
  if (error.code === 'ERR_ASSERTION') throw error;
  assert.ok(codes.includes(error.code), `code ${error.code} (${error.message})`);
};

check('bucket-make-exists-list', async () => {
  await minio.makeBucket(bucket, 'us-east-1');
  assert.equal(await minio.bucketExists(bucket), true);
  assert.equal(await minio.bucketExists(bucket + '-absent'), false);
  assert.ok((await minio.listBuckets()).some(item => item.name === bucket));
});
check('put-get-stat', async () => {
  assert.equal((await minio.putObject(bucket, 'a/medium', medium, medium.length, { 'Content-Type': 'text/x-check', 'X-Amz-Meta-One': '1' })).etag, md5(medium));
  sameBytes(await get('a/medium'), medium);
  const stat = await minio.statObject(bucket, 'a/medium');
  assert.deepEqual([stat.size, stat.etag, stat.metaData.one, stat.metaData['content-type']], [medium.length, md5(medium), '1', 'text/x-check']);
});
check('put-stream', async () => {
  await minio.putObject(bucket, 'a/stream', Readable.from(pieces(medium)), medium.length);
  sameBytes(await get('a/stream'), medium);
});
check('put-empty', async () => {
  await minio.putObject(bucket, 'a/empty', Buffer.alloc(0));
  assert.equal((await get('a/empty')).length, 0);
});
check('ranges', async () => {
  const part = async (from, length) => Buffer.concat(await collect(minio.getPartialObject(bucket, 'a/medium', from, length)));
  sameBytes(await part(1000, 69000), medium.subarray(1000, 70000));
  sameBytes(await part(medium.length - 9), medium.subarray(-9));
});
check('missing', async () => {
  await refused(['NoSuchKey'], () => minio.getObject(bucket, 'absent'));
  await refused(['NotFound', 'NoSuchKey'], () => minio.statObject(bucket, 'absent'));
});
check('multipart-known-size', async () => {
  await minio.putObject(bucket, 'm/large', Readable.from(pieces(large)), large.length);
  sameBytes(await get('m/large'), large);
  assert.match((await minio.statObject(bucket, 'm/large')).etag, /-3$/);
});
check('multipart-unknown-size', async () => {
  await minio.putObject(bucket, 'm/unknown', Readable.from(pieces(large)));
  sameBytes(await get('m/unknown'), large);
});
check('multipart-incomplete', async () => {
  await minio.initiateNewMultipartUpload(bucket, 'm/half', {});
  assert.equal((await collect(minio.listIncompleteUploads(bucket, 'm/half', true))).length, 1);
  await minio.removeIncompleteUpload(bucket, 'm/half');
  assert.equal((await collect(minio.listIncompleteUploads(bucket, 'm/half', true))).length, 0);
});
check('list-v1', async () => {
  for (const key of listedKeys) await minio.putObject(bucket, key, '.');
  assert.deepEqual(await names(minio.listObjects(bucket, 'list/', true)), listedKeys);
});
check('list-v2', async () => {
  assert.deepEqual(await names(minio.listObjectsV2(bucket, 'list/', true)), listedKeys);
  assert.deepEqual(await names(minio.listObjectsV2(bucket, 'list/', false)), ['list/a/', 'list/b/', 'list/c/']);
});
check('copy', async () => {
  await minio.copyObject(bucket, 'c/1', `/${bucket}/a/medium`);
  assert.equal((await minio.statObject(bucket, 'c/1')).metaData.one, '1');
  sameBytes(await get('c/1'), medium);
});
check('compose', async () => {
  const source = () => new Minio.CopySourceOptions({ Bucket: bucket, Object: 'm/large' });
  await minio.composeObject(new Minio.CopyDestinationOptions({ Bucket: bucket, Object: 'c/twice' }), [source(), source()]);
  sameBytes(await get('c/twice'), Buffer.concat([large, large]));
});
check('presigned-get', async () => {
  const answer = await fetch(await minio.presignedGetObject(bucket, 'a/medium', 120));
  assert.equal(answer.status, 200);
  sameBytes(Buffer.from(await answer.arrayBuffer()), medium);
});
check('presigned-put', async () => {
  const answer = await fetch(await minio.presignedPutObject(bucket, 'p/put', 120), { method: 'PUT', body: medium });
  assert.equal(answer.status, 200, await answer.text());
  sameBytes(await get('p/put'), medium);
});
check('unicode-keys', async () => {
  for (const key of unicodeKeys) {
    await minio.putObject(bucket, key, key);
    assert.equal((await get(key)).toString(), key);
  }
  assert.deepEqual((await names(minio.listObjectsV2(bucket, 'u/', true))).sort(), [...unicodeKeys].sort());
});
check('tagging', async () => {
  await minio.setObjectTagging(bucket, 'a/medium', { team: 'blue' });
  assert.deepEqual(await minio.getObjectTagging(bucket, 'a/medium'), [{ Key: 'team', Value: 'blue' }]);
  await minio.removeObjectTagging(bucket, 'a/medium');
});
check('bad-credentials', async () => {
  await refused(['SignatureDoesNotMatch'], () => connect(accessKey, 'wrong').listBuckets());
  await refused(['SignatureDoesNotMatch'], () => connect(accessKey, 'wrong').getObject(bucket, 'a/medium'));
  await refused(['InvalidAccessKeyId'], () => connect('NOBODYNOBODYNOBODY00').listBuckets());
});
check('delete', async () => {
  await minio.removeObject(bucket, 'c/1');
  await refused(['NotFound', 'NoSuchKey'], () => minio.statObject(bucket, 'c/1'));
  await minio.removeObject(bucket, 'never/was');
});
check('delete-many', async () => {
  await minio.removeObjects(bucket, listedKeys);
  assert.deepEqual(await names(minio.listObjectsV2(bucket, 'list/', true)), []);
});
check('bucket-remove', async () => {
  await minio.putObject(bucket, 'last', small);
  await refused(['BucketNotEmpty'], () => minio.removeBucket(bucket));
  await minio.removeObjects(bucket, await names(minio.listObjectsV2(bucket, '', true)));
  await minio.removeBucket(bucket);
});
await finish('minio-js');
