/** The check against a real Redis: who may do what, and what the printed statements mend. */
import { Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';

import type { Finding } from '../../src/core/ports.ts';
import type { Sink } from '../../src/core/sink-port.ts';
import type { Stack } from '../../stack/stack.ts';
import { privateStack } from '../support/servers.ts';
import { batchOf, openSink, tableOf } from './redis-harness.ts';

const stock = tableOf({ id: 'integer', sku: 'string' });
let stack: Stack<'redis'>;
let client: Redis;
const sinks: Sink[] = [];

beforeAll(async () => {
  stack = await privateStack({ servers: ['redis'] });
  client = new Redis(stack.urls.redis);
});
afterEach(async () => {
  for (const sink of sinks.splice(0)) await sink[Symbol.asyncDispose]();
});
afterAll(async () => {
  client.disconnect();
  await stack[Symbol.asyncDispose]();
});

const open = async (change: (url: URL) => void = () => undefined, key = 'stock:{id}') => {
  const url = new URL(stack.urls.redis);
  change(url);
  const sink = await openSink(url.href, 'check', key, stock);
  sinks.push(sink);
  return sink;
};
const as = (user: string, password: string) => (url: URL) => {
  url.username = user;
  url.password = password;
};
const check = async (...of: Parameters<typeof open>): Promise<readonly Finding[]> => (await open(...of)).check([stock]);
const execute = (statement: string) => client.call(...(statement.split(' ') as [string, ...string[]]));
const nowhere = (url: URL) => {
  url.port = '1';
};
const far = (url: URL) => {
  url.pathname = '/9999';
};

test('a good Redis has no finding, and the check leaves nothing behind', async () => {
  const before = await client.dbsize();
  expect(await check()).toEqual([]);
  expect(await client.dbsize()).toBe(before);
});

test('one that is not there is a finding, not an exception; rows meet a retry', async () => {
  expect(await check(nowhere)).toEqual([expect.objectContaining({ level: 'error', code: 'TARGET_UNREACHABLE', where: 'service stock' })]);
  await expect((await open(nowhere)).claim(['t#0'])).rejects.toEqual(
    expect.objectContaining({ code: 'TARGET_UNREACHABLE', fault: 'retry' }),
  );
});

test('a wrong password, no password and a wrong user: TARGET_AUTH, and the password in no message', async () => {
  await execute('ACL SETUSER ada reset on >right ~* +@all');
  for (const change of [as('ada', 'wrong-secret'), as('nobody', 'wrong-secret')]) {
    const findings = await check(change);
    expect(findings).toEqual([expect.objectContaining({ level: 'error', code: 'TARGET_AUTH' })]);
    expect(JSON.stringify(findings)).not.toContain('wrong-secret');
    const error: unknown = await (await open(change)).claim(['t#0']).catch((thrown: unknown) => thrown);
    expect(error).toEqual(expect.objectContaining({ code: 'TARGET_AUTH', fault: 'fatal' }));
  }
  expect(await check(as('ada', 'right'))).toEqual([]);
  await execute('ACL SETUSER default resetpass >lock');
  try {
    expect(await check()).toEqual([expect.objectContaining({ code: 'TARGET_AUTH' })]);
  } finally {
    await execute('ACL SETUSER default nopass');
  }
});

test.each([
  ['no command at all', 'ACL SETUSER bob reset on >pw ~*'],
  ['no write to the rows', 'ACL SETUSER bob reset on >pw ~crossfade:* %R~stock:* +@all'],
  ['no key of our own', 'ACL SETUSER bob reset on >pw ~stock:* +@all'],
  ['no HSET', 'ACL SETUSER bob reset on >pw ~* +@all -hset'],
])('a user with %s: the statement that is printed mends it, and then suffices for the work', async (_, statement) => {
  await execute(statement);
  const findings = await check(as('bob', 'pw'));
  const missing = findings.find(({ level }) => level === 'error');
  expect(missing).toMatchObject({ code: 'TARGET_PRIVILEGE' });
  await execute(missing?.fix ?? '');
  expect(await check(as('bob', 'pw'))).toEqual([]);
  const sink = await open(as('bob', 'pw'));
  await sink.claim(['t#0']);
  await sink.write(batchOf('t#0', stock, 0, [{ op: 'insert', after: { id: 1, sku: 'a' } }]));
  await sink.write(batchOf('t#0', stock, 1, [{ op: 'delete', before: { id: 1, sku: 'a' } }]));
  expect((await sink.progress()).get('t#0')?.nextOffset).toBe(2);
  await sink.reset(['t#0']);
});

test('a user who may not write rows gets TARGET_PRIVILEGE from the sink too', async () => {
  await execute('ACL SETUSER carl reset on >pw ~crossfade:* +@all');
  const sink = await open(as('carl', 'pw'));
  await sink.claim(['t#0']);
  await expect(sink.write(batchOf('t#0', stock, 0, [{ op: 'insert', after: { id: 1, sku: 'a' } }]))).rejects.toEqual(
    expect.objectContaining({ code: 'TARGET_PRIVILEGE', fault: 'fatal' }),
  );
});

test('a user who may not ask INFO gets a warning', async () => {
  await execute('ACL SETUSER dora reset on >pw ~* +@all -info');
  expect(await check(as('dora', 'pw'))).toEqual([expect.objectContaining({ level: 'warning', code: 'TARGET_PRIVILEGE' })]);
});

test('a database that the server does not have is refused, never replaced by database 0', async () => {
  expect(await check(far)).toEqual([expect.objectContaining({ level: 'error', code: 'TARGET_SETTING' })]);
  await expect((await open(far)).claim(['t#0'])).rejects.toEqual(expect.objectContaining({ code: 'TARGET_SETTING', fault: 'fatal' }));
});

test('eviction is found, and the printed statement mends it', async () => {
  await client.config('SET', 'maxmemory-policy', 'allkeys-lru');
  await client.config('SET', 'maxmemory', '1gb');
  const [finding, ...more] = await check();
  expect([finding, ...more]).toEqual([expect.objectContaining({ level: 'error', code: 'TARGET_SETTING' })]);
  await execute(finding?.fix ?? '');
  expect(await check()).toEqual([]);
});
