import { describe, expect, it, vi } from 'vitest';
import type { TableSchema } from '../../src/core/change.ts';
import { CrossfadeError } from '../../src/core/errors.ts';
import type { Log, Writer } from '../../src/core/log-port.ts';
import type { RowChange, Source, SourceBatch } from '../../src/core/source-port.ts';
import { versionPrefix } from '../../src/core/version.ts';
import { captureSession } from '../../src/runtime/capture.ts';
import { withMethods } from '../simulation/sinks.ts';

const schema: TableSchema = {
  id: 'abcd',
  table: { database: 'shop', table: 'orders' },
  columns: [{ name: 'id', kind: 'integer', nullable: false, type: 'int', bits: 32 }],
  key: ['id'],
};
const mebibyte = 1024 * 1024;

/** One transaction of one row, said to be of so many bytes. */
function batchAt(number: number, bytes: number): SourceBatch {
  const json = Buffer.from(`{"id":${number}}`);
  const transaction = {
    id: `T${number}`,
    gtid: null,
    file: 'binlog.000001',
    serverId: 1,
    committedAtUs: number,
    versionPrefix: versionPrefix({ epoch: 1, file: 1, offset: number }),
  };
  const row: RowChange = { transaction, schema, op: 'c', ordinal: 0, pos: 4, row: 0, before: null, after: json, key: json, oldKey: null };
  return { changes: [row], bytes, open: false, position: `P${number}`, throughUs: number, caughtUp: true };
}

/** A capture whose log acknowledges when the test says so. */
class Rig {
  /** Appends without their acknowledgement, oldest first. */
  readonly pending: PromiseWithResolvers<void>[] = [];
  /** How many records each append had. */
  readonly sizes: number[] = [];
  readonly completed: string[] = [];
  readonly #stop = new AbortController();
  pulled = 0;
  readonly session: Promise<void>;
  /** The pace's timers: they fire when the test says so. */
  readonly timers: { readonly delayMs: number; readonly fire: () => void }[] = [];

  /** `batches` come as fast as they are pulled; then the source waits for the stop. Complete records are due always, or only then. */
  constructor(batches: number, bytes: number, completes: 'always' | 'at the stop', restMs = 0) {
    const none = () => {};
    const writer = withMethods({} as Writer, {
      term: 1,
      batchBytesMax: 8 * mebibyte,
      inFlightBytesMax: 8 * mebibyte,
      restMs,
      tail: async () => ({ partitions: new Map() }),
      start: async () => {},
      define: async () => {},
      append: (appends) => {
        this.sizes.push(appends.reduce((sum, { batch }) => sum + batch.count, 0));
        const one = Promise.withResolvers<void>();
        this.pending.push(one);
        return one.promise;
      },
      complete: async ({ position }) => void this.completed.push(position),
      [Symbol.asyncDispose]: async () => {},
    });
    const log = withMethods({} as Log, { lead: async () => writer, [Symbol.asyncDispose]: async () => {} });
    const pulls = this.#pulls(batches, bytes);
    const source = withMethods({} as Source, {
      start: async () => 'P',
      describe: (position) => position,
      async *read(_from, signal) {
        yield* pulls;
        await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
      },
      [Symbol.asyncDispose]: async () => {},
    });
    this.session = captureSession(
      {
        pipeline: 'p',
        routing: new Map([['shop.orders', { topic: 'p.shop.orders', partitions: 1 }]]),
        logger: { debug: none, info: none, warn: none, error: none },
        meters: { captured: none, appended: none, completed: none },
        openSource: async () => source,
        openLog: async () => log,
        now: () => 5,
        // Sending costs no time here: only acknowledgements are waited for.
        pace: { now: () => 5, at: (delayMs, fire) => (this.timers.push({ delayMs, fire }), none) },
        completeEveryMs: completes === 'always' ? 0 : 1000,
      },
      { signal: this.#stop.signal, ready: none, progressed: none },
    );
    // Met where the test awaits it; until then Node must not call a failure unhandled.
    this.session.catch(none);
  }

  *#pulls(batches: number, bytes: number): Generator<SourceBatch> {
    while (this.pulled < batches) yield batchAt((this.pulled += 1), bytes);
  }

  stop(): void {
    this.#stop.abort();
  }
}

/** Time for everything that needs no acknowledgement to happen. */
async function quiet(): Promise<void> {
  for (let turn = 0; turn < 50; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}

describe('section 9: complete is never written before appends are durable', () => {
  it('waits for an acknowledgement that comes late', async () => {
    const rig = new Rig(1, 10, 'always');
    await vi.waitUntil(() => rig.pending.length === 1);
    await quiet();
    expect(rig.completed).toEqual([]);
    rig.pending[0]?.resolve();
    await vi.waitUntil(() => rig.completed.length > 0);
    expect(rig.completed).toEqual(['P1']);
    rig.stop();
    await rig.session;
  });

  it('a stop waits for it too', async () => {
    const rig = new Rig(1, 10, 'at the stop');
    await vi.waitUntil(() => rig.pending.length === 1);
    rig.stop();
    await quiet();
    expect(rig.completed).toEqual([]);
    rig.pending[0]?.resolve();
    await rig.session;
    expect(rig.completed).toEqual(['P1']);
  });

  it.each(['at work', 'at a stop'])('an append that fails %s ends the session, and nothing is completed', async (when) => {
    const rig = new Rig(1, 10, when === 'at work' ? 'always' : 'at the stop');
    await vi.waitUntil(() => rig.pending.length === 1);
    if (when === 'at a stop') rig.stop();
    rig.pending[0]?.reject(new CrossfadeError({ code: 'LOG_FENCED', fault: 'retry', message: 'another leads', remedy: 'none' }));
    await expect(rig.session).rejects.toMatchObject({ code: 'LOG_FENCED' });
    expect(rig.completed).toEqual([]);
  });
});

describe('G9: memory is bounded', () => {
  it('outstanding appends are bounded in bytes when the log stalls, and capture goes on when it answers', async () => {
    const rig = new Rig(100, mebibyte, 'at the stop');
    await vi.waitUntil(() => rig.pending.length > 0);
    await quiet();
    expect(rig.pending.length).toBeGreaterThan(8);
    expect(rig.pulled).toBeLessThanOrEqual(18);
    // What was acknowledged makes room again, for as much as before.
    for (const one of rig.pending.splice(0)) one.resolve();
    await quiet();
    expect(rig.pending.length).toBeGreaterThan(8);
    expect(rig.pulled).toBeLessThanOrEqual(36);
    await vi.waitUntil(
      () => {
        for (const one of rig.pending.splice(0)) one.resolve();
        return rig.pulled === 100;
      },
      { interval: 1, timeout: 10_000 },
    );
    await quiet();
    for (const one of rig.pending.splice(0)) one.resolve();
    rig.stop();
    await rig.session;
    expect(rig.completed).toEqual(['P100']);
  });
});

describe('batches grow by themselves under load', () => {
  it('the first goes at once; what comes while two are on their way goes together, when one of them is acknowledged', async () => {
    const rig = new Rig(50, 10, 'at the stop');
    await vi.waitUntil(() => rig.pulled === 50 && rig.pending.length === 2);
    await quiet();
    expect(rig.pending.length).toBe(2);
    rig.pending[0]?.resolve();
    await vi.waitUntil(() => rig.pending.length === 3);
    expect(rig.sizes).toEqual([1, 1, 48]);
    for (const one of rig.pending) one.resolve();
    rig.stop();
    await rig.session;
    expect(rig.completed).toEqual(['P50']);
  });

  it('where a request costs the log much, one is on its way at a time, and the next small one rests behind its acknowledgement', async () => {
    const rig = new Rig(50, 10, 'at the stop', 20);
    await vi.waitUntil(() => rig.pulled === 50 && rig.pending.length === 1);
    await quiet();
    expect([rig.pending.length, rig.timers.length]).toEqual([1, 0]);
    rig.pending[0]?.resolve();
    await vi.waitUntil(() => rig.timers.length === 1);
    await quiet();
    expect([rig.pending.length, rig.timers[0]?.delayMs]).toEqual([1, 20]);
    rig.timers[0]?.fire();
    await vi.waitUntil(() => rig.pending.length === 2);
    expect(rig.sizes).toEqual([1, 49]);
    for (const one of rig.pending) one.resolve();
    rig.stop();
    await rig.session;
    expect(rig.completed).toEqual(['P50']);
  });

  it('nothing that was held is lost at a stop, and nothing of it is completed before it is durable', async () => {
    const rig = new Rig(20, 10, 'at the stop');
    await vi.waitUntil(() => rig.pulled === 20 && rig.pending.length === 2);
    rig.stop();
    await vi.waitUntil(() => rig.pending.length === 3);
    await quiet();
    expect(rig.completed).toEqual([]);
    expect(rig.sizes.reduce((sum, size) => sum + size, 0)).toBe(20);
    for (const one of rig.pending) one.resolve();
    await rig.session;
    expect(rig.completed).toEqual(['P20']);
  });
});
