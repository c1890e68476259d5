import { describe, expect, it } from 'vitest';
import { MemoryLogCluster } from '../../connectors/memory/log-cluster.ts';
import { openMemoryLog } from '../../connectors/memory/log.ts';
import { codec } from '../../src/codec.ts';
import type { TableSchema } from '../../src/core/change.ts';
import { CrossfadeError } from '../../src/core/errors.ts';
import type { RowChange, Source, SourceBatch, Transaction } from '../../src/core/source-port.ts';
import { versionPrefix } from '../../src/core/version.ts';
import { captureSession } from '../../src/runtime/capture.ts';

const stream = { topic: 'p.shop.orders', partitions: 1 };
const schema: TableSchema = {
  id: 'abcd',
  table: { database: 'shop', table: 'orders' },
  columns: [{ name: 'id', kind: 'integer', nullable: false, type: 'int', bits: 32 }],
  key: ['id'],
};

function rows(transaction: Transaction, from: number, count: number): RowChange[] {
  return Array.from({ length: count }, (_, index) => {
    const json = Buffer.from(`{"id":${from + index}}`);
    return { transaction, schema, op: 'c', ordinal: from + index, pos: 4, row: index, before: null, after: json, key: json, oldKey: null };
  });
}

const transaction = (number: number): Transaction => ({
  id: `T${number}`,
  gtid: `T${number}`,
  file: 'binlog.000001',
  serverId: 1,
  committedAtUs: number,
  versionPrefix: versionPrefix({ epoch: 1, file: 1, offset: number }),
});

/** A source that hands over fixed batches and then waits for the abort. */
function scripted(batches: readonly SourceBatch[], onEnd: () => void): Source {
  return {
    check: async () => [],
    schemas: async () => [schema],
    start: async () => 'P0',
    end: async () => 'P9',
    describe: (position) => position,
    async *read() {
      yield* batches;
      onEnd();
    },
    [Symbol.asyncDispose]: async () => {},
  };
}

const truncated = new CrossfadeError({
  code: 'SOURCE_STATEMENT_UNSUPPORTED',
  fault: 'fatal',
  message: 'a statement',
  remedy: 'start behind it',
});

const silent = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

describe('section 9: complete records are never guesses', () => {
  it('a stop in the middle of a large transaction completes nothing that lies before its first part', async () => {
    const cluster = new MemoryLogCluster({ codec });
    const [one, two] = [transaction(1), transaction(2)];
    const batch = (changes: RowChange[], open: boolean, position: string): SourceBatch => ({
      changes,
      bytes: 10,
      open,
      position,
      throughUs: 1,
      caughtUp: false,
    });
    const first = [batch(rows(one, 0, 1), false, 'P1'), batch(rows(two, 0, 3), true, 'P1')];
    await session(cluster, first);
    // The second life reads the open transaction again from its beginning, and finds its rows at the partition's tail.
    await session(cluster, [batch(rows(one, 0, 1), false, 'P1'), batch(rows(two, 0, 5), false, 'P2')]);
    const log = openMemoryLog(cluster, [stream]);
    const state = await log.state();
    expect(state.partitions.get('p.shop.orders#0')?.endOffset).toBe(6);
    expect(state.complete?.position).toBe('P2');
    await log[Symbol.asyncDispose]();
  });

  it('a stream that begins with an empty batch is not at its end; a source that says so is', async () => {
    const cluster = new MemoryLogCluster({ codec });
    const one = transaction(1);
    const batch = (changes: RowChange[], caughtUp: boolean): SourceBatch => ({
      changes,
      bytes: 10,
      open: false,
      position: 'P0',
      throughUs: 1,
      caughtUp,
    });
    // The first life dies between the row and the complete record behind it.
    await expect(session(cluster, [batch([], false), batch(rows(one, 0, 1), false)], 'dies')).rejects.toThrow('killed');
    await session(cluster, [batch([], false), batch(rows(one, 0, 1), true)]);
    await expect(session(cluster, [batch([], true)])).resolves.toBeUndefined();
    // Dies once more, and then the source no longer has the row that the log has.
    await expect(session(cluster, [batch(rows(transaction(2), 0, 1), false)], 'dies')).rejects.toThrow('killed');
    await expect(session(cluster, [batch([], true)])).rejects.toMatchObject({ code: 'LOG_TAIL_NOT_MET' });
  });

  it('G1: what the source handed over before it stopped for good is in the log, and complete', async () => {
    const cluster = new MemoryLogCluster({ codec });
    const batch = { changes: rows(transaction(1), 0, 2), bytes: 10, open: false, position: 'P1', throughUs: 1, caughtUp: false };
    await expect(session(cluster, [batch], 'stops for good')).rejects.toMatchObject({ code: 'SOURCE_STATEMENT_UNSUPPORTED' });
    await using log = openMemoryLog(cluster, [stream]);
    const state = await log.state();
    expect(state.partitions.get('p.shop.orders#0')?.endOffset).toBe(2);
    expect(state.complete?.position).toBe('P1');
  });

  it('section 9: what was taken before a stop is complete, also where the source leaves by throwing the stop’s reason', async () => {
    const cluster = new MemoryLogCluster({ codec });
    const batch = { changes: rows(transaction(1), 0, 2), bytes: 10, open: false, position: 'P1', throughUs: 1, caughtUp: false };
    await session(cluster, [batch], 'throws at the stop');
    await using log = openMemoryLog(cluster, [stream]);
    expect((await log.state()).complete?.position).toBe('P1');
  });

  it('G1: a new log asks before its first record, one that has begun never does', async () => {
    const cluster = new MemoryLogCluster({ codec });
    const refuse = () => Promise.reject(new Error('there was a log before'));
    await expect(session(cluster, [], 'stops', refuse)).rejects.toThrow('there was a log before');
    await using log = openMemoryLog(cluster, [stream]);
    expect((await log.state()).start).toBeUndefined();
    await session(cluster, []);
    expect((await log.state()).start?.position).toBe('P0');
    await expect(session(cluster, [], 'stops', refuse)).resolves.toBeUndefined();
  });

  async function session(
    cluster: MemoryLogCluster,
    batches: readonly SourceBatch[],
    end: 'stops' | 'dies' | 'stops for good' | 'throws at the stop' = 'stops',
    beforeNewLog = () => Promise.resolve(),
  ): Promise<void> {
    const stop = new AbortController();
    const none = () => {};
    await captureSession(
      {
        pipeline: 'p',
        routing: new Map([['shop.orders', stream]]),
        logger: silent,
        meters: { captured: none, appended: none, completed: none },
        openSource: async () =>
          scripted(batches, () => {
            if (end === 'dies') throw new Error('killed');
            if (end === 'stops for good') throw truncated;
            stop.abort();
            if (end === 'throws at the stop') throw stop.signal.reason;
          }),
        openLog: async () => openMemoryLog(cluster, [stream]),
        beforeNewLog,
        // Time stands still at first, so that only the stop completes.
        now: () => 5,
      },
      { signal: stop.signal, ready: none, progressed: none },
    );
  }
});
