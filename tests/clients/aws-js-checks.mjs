// aws-js-checks.mjs ENDPOINT ACCESS SECRET: the AWS SDK for JavaScript v3 with its defaults (CRC32 on every upload, in a
// trailer where the body streams), in a bucket of its own. Prints "PASS name" or "FAIL name - why"; exit code 1 when any failed.
import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import * as S3 from '@aws-sdk/client-s3';
import { Upload } from '@aws-sdk/lib-storage';
import { getSignedUrl } from '@aws-sdk/s3-request-presigner';
import { accessKey, bucketName, check, endpoint, finish, large, listedKeys, md5, medium, partSize, pieces, sameBytes, secretKey, small, unicodeKeys } from './checks.mjs';

const connect = (accessKeyId = accessKey, secretAccessKey = secretKey) => new S3.S3Client({
  endpoint, region: 'us-east-1', forcePathStyle: true, maxAttempts: 2, credentials: { accessKeyId, secretAccessKey },
});
const s3 = connect();
const Bucket = bucketName('aws-js');
const call = (name, input = {}, client = s3) => client.send(new S3[name + 'Command']({ Bucket, ...input }));
const put = (Key, Body, more = {}) => call('PutObject', { Key, Body, ...more });
const open = (Key, more = {}) => call('GetObject', { Key, ...more });
const get = async (Key, more = {}) => Buffer.from(await (await open(Key, more)).Body.transformToByteArray());
const refused = async (status, name, action) => {
  const error = await action().then(() => assert.fail('was not refused'), e => e);
  if (error.code === 'ERR_ASSERTION') throw error;
  assert.equal(error.$metadata?.httpStatusCode, status, error.message);
  if (name) assert.equal(error.name, name);
};

check('bucket-create-head', async () => {
  await call('CreateBucket');
  await call('HeadBucket');
  await refused(404, null, () => call('HeadBucket', { Bucket: Bucket + '-absent' }));
});
check('put-get-head', async () => {
  assert.equal((await put('a/medium', medium, { ContentType: 'text/x-check', Metadata: { one: '1' } })).ETag, `"${md5(medium)}"`);
  sameBytes(await get('a/medium'), medium);
  const head = await call('HeadObject', { Key: 'a/medium' });
  assert.deepEqual([head.ContentLength, head.ContentType, head.Metadata], [medium.length, 'text/x-check', { one: '1' }]);
});
check('put-stream-with-trailer', async () => {
  await put('a/stream', Readable.from(pieces(medium)), { ContentLength: medium.length });
  sameBytes(await get('a/stream'), medium);
  const head = await call('HeadObject', { Key: 'a/stream' });
  assert.equal(head.ETag, `"${md5(medium)}"`);
  assert.ok(!head.ContentEncoding?.includes('aws-chunked'), 'aws-chunked was kept as Content-Encoding');
});
check('put-empty', async () => {
  await put('a/empty', '');
  assert.equal((await get('a/empty')).length, 0);
});
check('ranges', async () => {
  const size = medium.length;
  for (const [Range, from, to] of [['bytes=0-0', 0, 1], ['bytes=1000-69999', 1000, 70000], ['bytes=-65536', size - 65536, size], [`bytes=${size - 3}-${size + 99}`, size - 3, size]]) {
    assert.equal((await open('a/medium', { Range })).ContentRange, `bytes ${from}-${to - 1}/${size}`);
    sameBytes(await get('a/medium', { Range }), medium.subarray(from, to));
  }
});
check('range-past-end', () => refused(416, 'InvalidRange', () => open('a/medium', { Range: `bytes=${medium.length}-` })));
check('missing', async () => {
  await refused(404, 'NoSuchKey', () => open('absent'));
  await refused(404, null, () => call('HeadObject', { Key: 'absent' }));
});
check('conditional-reads', async () => {
  const tag = `"${md5(medium)}"`;
  sameBytes(await get('a/medium', { IfMatch: tag }), medium);
  await refused(304, null, () => open('a/medium', { IfNoneMatch: tag }));
  await refused(412, null, () => open('a/medium', { IfMatch: `"${md5(small)}"` }));
});
check('conditional-write', async () => {
  await put('a/once', small, { IfNoneMatch: '*' });
  await refused(412, 'PreconditionFailed', () => put('a/once', medium, { IfNoneMatch: '*' }));
  sameBytes(await get('a/once'), small);
});
check('multipart-managed', async () => {
  const done = await new Upload({ client: s3, params: { Bucket, Key: 'm/large', Body: Readable.from(pieces(large)) }, partSize, queueSize: 3 }).done();
  sameBytes(await get('m/large'), large);
  assert.match((await call('HeadObject', { Key: 'm/large' })).ETag, /-3"$/);
  assert.match(done.ETag ?? '', /-3"$/);
});
check('multipart-abort', async () => {
  const { UploadId } = await call('CreateMultipartUpload', { Key: 'm/gone' });
  await call('UploadPart', { Key: 'm/gone', UploadId, PartNumber: 1, Body: small });
  await call('AbortMultipartUpload', { Key: 'm/gone', UploadId });
  await refused(404, 'NoSuchUpload', () => call('ListParts', { Key: 'm/gone', UploadId }));
});
check('multipart-copy-part', async () => {
  const { UploadId } = await call('CreateMultipartUpload', { Key: 'm/copied' });
  const part = await call('UploadPartCopy', { Key: 'm/copied', UploadId, PartNumber: 1, CopySource: `${Bucket}/m/large`, CopySourceRange: 'bytes=7-6291462' });
  await call('CompleteMultipartUpload', { Key: 'm/copied', UploadId, MultipartUpload: { Parts: [{ PartNumber: 1, ETag: part.CopyPartResult.ETag }] } });
  sameBytes(await get('m/copied'), large.subarray(7, 6291463));
});
check('list-v1-pages', async () => {
  for (const key of listedKeys) await put(key, '.');
  const keys = [];
  for (let Marker, more = true; more;) {
    const page = await call('ListObjects', { Prefix: 'list/', MaxKeys: 5, Marker });
    keys.push(...page.Contents.map(item => item.Key));
    Marker = page.NextMarker ?? keys.at(-1);
    more = page.IsTruncated;
  }
  assert.deepEqual(keys, listedKeys);
});
check('list-v2-pages', async () => {
  const keys = [];
  for await (const page of S3.paginateListObjectsV2({ client: s3, pageSize: 5 }, { Bucket, Prefix: 'list/' })) keys.push(...page.Contents.map(item => item.Key));
  assert.deepEqual(keys, listedKeys);
  const folders = await call('ListObjectsV2', { Prefix: 'list/', Delimiter: '/' });
  assert.deepEqual(folders.CommonPrefixes.map(p => p.Prefix), ['list/a/', 'list/b/', 'list/c/']);
});
check('copy', async () => {
  await call('CopyObject', { Key: 'c/1', CopySource: `${Bucket}/a/medium` });
  assert.deepEqual((await call('HeadObject', { Key: 'c/1' })).Metadata, { one: '1' });
  sameBytes(await get('c/1'), medium);
});
check('presigned-get', async () => {
  const answer = await fetch(await getSignedUrl(s3, new S3.GetObjectCommand({ Bucket, Key: 'a/medium' }), { expiresIn: 120 }));
  assert.equal(answer.status, 200);
  sameBytes(Buffer.from(await answer.arrayBuffer()), medium);
});
check('presigned-put', async () => {
  const answer = await fetch(await getSignedUrl(s3, new S3.PutObjectCommand({ Bucket, Key: 'p/put' }), { expiresIn: 120 }), { method: 'PUT', body: medium });
  assert.equal(answer.status, 200, await answer.text());
  sameBytes(await get('p/put'), medium);
});
check('unicode-keys', async () => {
  for (const key of unicodeKeys) {
    await put(key, key);
    assert.equal((await get(key)).toString(), key);
  }
  assert.deepEqual((await call('ListObjectsV2', { Prefix: 'u/' })).Contents.map(item => item.Key).sort(), [...unicodeKeys].sort());
});
check('tagging', async () => {
  const TagSet = [{ Key: 'team', Value: 'blue green' }];
  await call('PutObjectTagging', { Key: 'a/medium', Tagging: { TagSet } });
  assert.deepEqual((await call('GetObjectTagging', { Key: 'a/medium' })).TagSet, TagSet);
});
for (const algorithm of ['CRC32', 'CRC32C', 'CRC64NVME', 'SHA1', 'SHA256']) {
  check('checksum-' + algorithm.toLowerCase(), async () => {
    const sent = await put('k/' + algorithm, medium, { ChecksumAlgorithm: algorithm });
    const back = await open('k/' + algorithm, { ChecksumMode: 'ENABLED' });
    sameBytes(Buffer.from(await back.Body.transformToByteArray()), medium);
    assert.ok(back['Checksum' + algorithm], 'no checksum in the answer');
    assert.equal(back['Checksum' + algorithm], sent['Checksum' + algorithm]);
  });
}
check('checksum-wrong', () => refused(400, null, () => put('k/wrong', medium, { ChecksumCRC32: 'AAAAAA==' })));
check('bad-credentials', async () => {
  await refused(403, 'SignatureDoesNotMatch', () => call('ListObjectsV2', {}, connect(accessKey, 'wrong')));
  await refused(403, 'SignatureDoesNotMatch', () => call('GetObject', { Key: 'a/medium' }, connect(accessKey, 'wrong')));
  await refused(403, 'InvalidAccessKeyId', () => call('ListObjectsV2', {}, connect('NOBODYNOBODYNOBODY00')));
});
check('delete', async () => {
  await call('DeleteObject', { Key: 'c/1' });
  await refused(404, null, () => call('HeadObject', { Key: 'c/1' }));
  await call('DeleteObject', { Key: 'never/was' });
});
check('delete-many', async () => {
  const answer = await call('DeleteObjects', { Delete: { Objects: [...listedKeys, 'never/was'].map(Key => ({ Key })) } });
  assert.equal(answer.Deleted.length, listedKeys.length + 1);
  assert.equal((await call('ListObjectsV2', { Prefix: 'list/' })).KeyCount, 0);
});
check('bucket-delete', async () => {
  await refused(409, 'BucketNotEmpty', () => call('DeleteBucket'));
  for await (const page of S3.paginateListObjectsV2({ client: s3 }, { Bucket })) for (const { Key } of page.Contents ?? []) await call('DeleteObject', { Key });
  await call('DeleteBucket');
});
await finish('aws-sdk-js v3');
