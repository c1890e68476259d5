/** The embedded log between real processes: kill -9, SIGSTOP, and files deleted under somebody's feet. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { open } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { expect, onTestFailed, onTestFinished, test } from 'vitest';
import type { CrossfadeError } from '../../src/core/errors.ts';
import { seeded } from '../support/random.ts';
import { Consumer, range, rows, until } from './log-rows.ts';
import { orders, ordersStream, peopleStream } from './log-harness.ts';
import type { ChildOrder } from './sqlite-child.ts';
import { SqliteHarness, testTiming } from './sqlite-harness.ts';

const never = new AbortController().signal;
const people = 'shop.people#0';

class Child {
  readonly lines: string[] = [];
  readonly process: ChildProcess;
  readonly ended: Promise<void>;
  errors = '';

  constructor(order: ChildOrder) {
    const script = new URL('sqlite-child.ts', import.meta.url).pathname;
    this.process = spawn(process.execPath, [script, JSON.stringify(order)], { stdio: ['pipe', 'pipe', 'pipe'] });
    const output = this.process.stdout;
    if (output) createInterface({ input: output }).on('line', (line) => this.lines.push(line));
    this.process.stderr?.on('data', (text: Buffer) => (this.errors += text.toString()));
    this.ended = new Promise((resolve) => this.process.once('close', () => resolve()));
    onTestFinished(() => this.kill());
  }

  async said(text: string): Promise<void> {
    await until(`the child says "${text}" (${this.errors})`, () => this.lines.some((line) => line.startsWith(text)));
  }

  async kill(): Promise<void> {
    this.process.kill('SIGKILL');
    await this.ended;
  }

  get acked(): number {
    return Math.max(-1, ...this.lines.filter((line) => line.startsWith('acked')).map((line) => Number(line.split(' ')[1])));
  }
}

function harnessOf(stream = peopleStream): SqliteHarness {
  const harness = new SqliteHarness([stream]);
  onTestFinished(() => harness[Symbol.asyncDispose]());
  return harness;
}

test('G1, G5: kill -9 of the writer twenty times, at random moments and at its fault points: no acknowledged row is lost, none doubled', async () => {
  const harness = harnessOf();
  const seed = Math.floor(Math.random() * 2 ** 31);
  onTestFailed(() => {
    process.stderr.write(`seed ${seed}\n`);
  });
  const random = seeded(seed);
  const log = await harness.open();
  const reader = new Consumer(log, 'g');
  onTestFinished(() => reader.stop());
  let acked = -1;
  for (let round = 0; round < 20; round += 1) {
    const point = (['log:before-commit', 'log:after-commit'] as const)[random.int(4)];
    const dieAt = point === undefined ? {} : { dieAt: { point, passing: 1 + random.int(15) } };
    const child = new Child({ path: harness.path, work: 'append', ...dieAt });
    if (point === undefined) {
      const lines = random.int(20);
      await until(`the child gets going (${child.errors})`, () => child.lines.length > lines);
      await child.kill();
    } else await child.ended;
    expect([child.process.signalCode, child.errors]).toEqual(['SIGKILL', '']);
    acked = Math.max(acked, child.acked);
  }
  const end = async () => (await log.state()).partitions.get(people)?.endOffset ?? -1;
  const written = await end();
  await until('the reader has all', () => reader.numbers().length >= written);
  expect(written).toBeGreaterThan(acked);
  expect(reader.numbers()).toEqual(range(0, written));
  const offsets = reader.deliveries.flatMap(({ records }) => records.map(({ offset }) => offset));
  expect(offsets).toEqual(range(0, written));
  const versions = reader.deliveries.flatMap(({ records }) => records.map(({ version }) => version));
  expect(
    versions.every((version, i) => i === 0 || version > (versions[i - 1] ?? '')),
    `seed ${seed}`,
  ).toBe(true);
}, 400_000);

test('a process that forgets to close its log ends all the same', async () => {
  const harness = harnessOf();
  const child = new Child({ path: harness.path, work: 'leave' });
  await child.ended;
  expect([child.process.exitCode, child.errors, child.acked]).toEqual([0, '', 0]);
});

test('a frozen leader is named by its pid; ended, its place is free at once', async () => {
  const harness = harnessOf();
  const child = new Child({ path: harness.path, work: 'lead' });
  await child.said('leads');
  child.process.kill('SIGSTOP');
  const log = await harness.open();
  const error = (await log.lead(never).catch((thrown: unknown) => thrown)) as CrossfadeError;
  expect([error.code, error.fault]).toEqual(['LOG_HELD', 'retry']);
  expect(error.remedy).toContain(`kill -9 ${child.process.pid}`);
  const { leader } = await log.state();
  expect(leader?.who).toContain(`pid ${child.process.pid}`);
  expect(leader?.silentSeconds).toBeGreaterThan(1);
  expect(await log.check()).toContainEqual(expect.objectContaining({ code: 'LOG_HELD', fix: `kill -9 ${child.process.pid}` }));
  await child.kill();
  const writer = await log.lead(never);
  expect(writer.term).toBe(2);
  expect(await log.check()).toEqual([]);
});

test('G10: a writer that was frozen inside a write keeps readers waiting and loses nothing; ended, they go on', async () => {
  const harness = harnessOf();
  const log = await harness.open();
  const writer = await log.lead(never);
  await writer.append([{ partition: people, batch: rows(0, 3, { term: writer.term }) }]);
  const frozen = spawn(process.execPath, ['-e', holdsWriteLock, harness.path], { stdio: ['ignore', 'pipe', 'inherit'] });
  onTestFinished(() => void frozen.kill('SIGKILL'));
  await once(frozen.stdout, 'data');
  // The head of the index stands there twice, and the second copy is written first: this one is an older one now.
  const index = await open(`${harness.path}-shm`, 'r+');
  const { buffer } = await index.read(Buffer.alloc(4), 0, 4, changeCounterAt);
  buffer.writeUInt32LE(buffer.readUInt32LE() - 1);
  await index.write(buffer, 0, 4, changeCounterAt);
  await index.close();
  const error = (await log.state().catch((thrown: unknown) => thrown)) as CrossfadeError;
  expect([error.code, error.fault]).toEqual(['LOG_HELD', 'retry']);
  expect(error.message).toContain('in the middle of a write');
  frozen.kill('SIGKILL');
  await once(frozen, 'close');
  expect((await log.state()).partitions.get(people)?.endOffset).toBe(3);
  await writer.append([{ partition: people, batch: rows(3, 5, { term: writer.term }) }]);
  const reader = new Consumer(log, 'g');
  onTestFinished(() => reader.stop());
  await until('the reader has all', () => reader.numbers().length >= 5);
  expect(reader.numbers()).toEqual(range(0, 5));
});

/** In the head of the index, https://www.sqlite.org/walformat.html#the_wal_index_header: counts transactions. */
const changeCounterAt = 8;
const holdsWriteLock = `
  const db = new (require('node:sqlite').DatabaseSync)(process.argv[1]);
  db.exec('BEGIN IMMEDIATE');
  console.log('holds it');
  setInterval(() => {}, 1000);`;

test('a leader that was frozen while its lock file was deleted is fenced by the term when it wakes', async () => {
  const harness = harnessOf();
  const child = new Child({ path: harness.path, work: 'lead' });
  await child.said('leads 1');
  child.process.kill('SIGSTOP');
  await harness.depose();
  const log = await harness.open();
  const writer = await log.lead(never);
  await writer.append([{ partition: people, batch: rows(0, 1, { term: writer.term }) }]);
  child.process.kill('SIGCONT');
  child.process.stdin?.write('go on\n');
  await child.said('failed LOG_FENCED');
  expect((await log.state()).partitions.get(people)?.endOffset).toBe(1);
  expect((await log.state()).leader?.who).toContain(`pid ${process.pid}`);
});

test('a frozen reader is seen as silent, a dead one not at all, and what was noted of it stays', async () => {
  const harness = harnessOf();
  const writer = await (await harness.open()).lead(never);
  await writer.append([{ partition: people, batch: rows(0, 1) }]);
  const child = new Child({ path: harness.path, work: 'read' });
  await child.said('delivered 1');
  const log = await harness.open();
  const silent = async () => ((await log.state()).members.get('g') ?? []).map(({ silentSeconds }) => silentSeconds);
  expect((await log.state()).members.get('g')?.[0]?.who).toContain(`pid ${child.process.pid} `);
  child.process.kill('SIGSTOP');
  await until('its silence shows', async () => ((await silent())[0] ?? 0) > 0.5);
  await log.trouble('apply g', { code: 'TARGET_FULL', fault: 'retry', message: 'no room', sinceMs: 5 });
  await child.kill();
  expect(await silent()).toEqual([]);
  expect((await (await harness.open()).state()).troubles.get('apply g')?.code).toBe('TARGET_FULL');
});

/** Of several partitions some are always the dead member's, whatever the members' names: one alone would be chance. */
const allOrders = range(0, ordersStream.partitions).map(orders);
const oneEach = (from: number, term: number) =>
  allOrders.map((partition, n) => ({ partition, batch: rows(from + n, from + n + 1, { term }) }));

test('a member that was frozen past its expiry claims anew when it wakes, and delivers nothing before', async () => {
  const harness = harnessOf(ordersStream);
  const writer = await (await harness.open()).lead(never);
  await writer.append(oneEach(0, writer.term));
  const child = new Child({ path: harness.path, work: 'read', memberExpiry: 700, stream: ordersStream });
  await until('the child has all', () => child.lines.filter((line) => line === 'delivered 1').length === 4);
  child.process.kill('SIGSTOP');
  const reader = new Consumer(await harness.openWith({ timing: { ...testTiming, memberExpiry: 700 } }), 'g');
  onTestFinished(() => reader.stop());
  const members = () => harness.sql('-groups', (db) => db.prepare('SELECT count(*) AS count FROM members').get()?.['count']);
  await until('the frozen one has expired', () => members() === 1);
  await until('the other took over', () => new Set(reader.numbers()).size === 4);
  await writer.append(oneEach(4, writer.term));
  await until('and reads on', () => new Set(reader.numbers()).size === 8);
  const before = child.lines.length;
  await reader.stop();
  child.process.kill('SIGCONT');
  await until('the child is back', () => child.lines.length > before + 1);
  expect(child.lines.slice(before, before + 2)).toEqual(['claims 4', expect.stringMatching(/^delivered/)]);
});

test('a member whose process was killed is buried at once, not after its expiry', async () => {
  const harness = harnessOf(ordersStream);
  const writer = await (await harness.open()).lead(never);
  await writer.append(oneEach(0, writer.term));
  const child = new Child({ path: harness.path, work: 'read', memberExpiry: 600_000, stream: ordersStream });
  await until('the child has all', () => child.lines.filter((line) => line === 'delivered 1').length === 4);
  await child.kill();
  const reader = new Consumer(await harness.openWith({ timing: { ...testTiming, memberExpiry: 600_000 } }), 'g');
  onTestFinished(() => reader.stop());
  await until('the next one has its partitions', () => new Set(reader.numbers()).size === 4);
  expect(reader.claims.at(-1)).toEqual(allOrders);
});
