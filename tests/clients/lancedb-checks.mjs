// lancedb-checks.mjs ENDPOINT ACCESS SECRET: LanceDB, a vector database that lives in a bucket (Rust's object_store: conditional PUTs for
// its commits, suffix and coalesced ranges, multipart for what is large), in a bucket of its own. Prints "PASS name" or "FAIL name - why".
import assert from 'node:assert/strict';
import * as lancedb from '@lancedb/lancedb';
import * as S3 from '@aws-sdk/client-s3';
import { accessKey, bucketName, check, endpoint, finish, secretKey } from './checks.mjs';

const bucket = bucketName('lancedb');
const s3 = new S3.S3Client({ endpoint, region: 'us-east-1', forcePathStyle: true, credentials: { accessKeyId: accessKey, secretAccessKey: secretKey } });
const connect = () => lancedb.connect(`s3://${bucket}/db`, {
  storageOptions: { awsAccessKeyId: accessKey, awsSecretAccessKey: secretKey, endpoint, region: 'us-east-1', allowHttp: 'true', virtualHostedStyleRequest: 'false' },
});

const dimensions = 32;
const pets = ['cats', 'dogs', 'birds'];
const vector = id => Array.from({ length: dimensions }, (_, at) => Math.sin(id * 0.37 * (at + 1)));
const rows = (count, from) => Array.from({ length: count }, (_, at) => ({ id: from + at, vector: vector(from + at), text: `row ${from + at} about ${pets[(from + at) % 3]}` }));
const ids = result => result.map(row => row.id);
let db, table, versionBefore;

check('create', async () => {
  await s3.send(new S3.CreateBucketCommand({ Bucket: bucket }));
  db = await connect();
  table = await db.createTable('t', rows(3000, 0));
  assert.equal(await table.countRows(), 3000);
});
check('append', async () => {
  for (let from = 3000; from < 5000; from += 500) await table.add(rows(500, from));
  assert.equal(await table.countRows(), 5000);
});
check('search-exact', async () => {
  for (const id of [0, 777, 4999]) assert.deepEqual(ids(await table.search(vector(id)).limit(1).toArray()), [id]);
});
check('index-vectors', async () => {
  await table.createIndex('vector', { config: lancedb.Index.ivfFlat({ numPartitions: 4 }) });
  assert.equal((await table.indexStats('vector_idx')).numIndexedRows, 5000);
});
check('search-indexed', async () => {
  for (const id of [1, 778, 4998]) {
    const exact = await table.search(vector(id)).bypassVectorIndex().limit(5).toArray();
    assert.deepEqual(ids(await table.search(vector(id)).nprobes(4).limit(5).toArray()), ids(exact));
  }
});
check('index-text', () => table.createIndex('text', { config: lancedb.Index.fts() }));
check('search-text', async () => {
  const found = await table.search('birds', 'fts').limit(10).toArray();
  assert.equal(found.length, 10);
  assert.ok(found.every(row => row.text.endsWith('birds')));
});
check('update', async () => {
  versionBefore = await table.version();
  await table.update({ where: 'id < 100', values: { text: 'updated' } });
  assert.equal(await table.countRows("text = 'updated'"), 100);
});
check('delete', async () => {
  await table.delete('id >= 4500');
  assert.equal(await table.countRows(), 4500);
});
check('upsert', async () => {
  await table.mergeInsert('id').whenMatchedUpdateAll().whenNotMatchedInsertAll().execute(rows(200, 4400));
  assert.equal(await table.countRows(), 4600);
});
check('older-version', async () => {
  await table.checkout(versionBefore);
  assert.deepEqual([await table.countRows(), await table.countRows("text = 'updated'")], [5000, 0]);
  await table.checkoutLatest();
  assert.equal(await table.countRows(), 4600);
});
// Each commit is a PUT that only the first may win; the others see that they lost and try the next version.
check('writers-at-once', async () => {
  const writers = await Promise.all([0, 1, 2, 3].map(async () => (await connect()).openTable('t')));
  await Promise.all(writers.map((writer, at) => writer.add(rows(50, 10_000 + at * 50))));
  await table.checkoutLatest();
  assert.equal(await table.countRows('id >= 10000'), 200);
});
check('compact', async () => {
  const { compaction } = await table.optimize({ cleanupOlderThan: new Date() });
  assert.ok(compaction.fragmentsRemoved > 1);
  assert.equal(await table.countRows(), 4800);
});
check('reopened', async () => {
  const again = await (await connect()).openTable('t');
  assert.deepEqual(await again.query().select(['id']).where('id < 5000 and id % 1000 = 7').toArray().then(found => ids(found).sort((a, b) => a - b)), [7, 1007, 2007, 3007, 4007]);
  assert.deepEqual(ids(await again.search(vector(10_077)).limit(1).toArray()), [10_077]);
});
check('dropped', async () => {
  await db.dropTable('t');
  assert.deepEqual(await db.tableNames(), []);
  assert.equal((await s3.send(new S3.ListObjectsV2Command({ Bucket: bucket }))).KeyCount, 0);
});

await finish('lancedb');
