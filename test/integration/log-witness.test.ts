/** What the chaos tests see of a log: "works again" and "took over" must mean a row, not the mark of a takeover. */
import { afterEach, describe, expect, test } from 'vitest';

import type { Log } from '../../src/core/log-port.ts';
import { brokenRules, type LogView, viewOf } from '../chaos/rig/log-view.ts';
import { KafkaHarness } from '../contract/kafka-harness.ts';
import type { LogHarness } from '../contract/log-harness.ts';
import { peopleSchema, rows, tombstone } from '../contract/log-rows.ts';
import { SqliteHarness } from '../contract/sqlite-harness.ts';
import { kafkaAddress } from '../support/servers.ts';

const streams = [
  { topic: 'shop.people', partitions: 2 },
  { topic: 'shop.orders', partitions: 1 },
];
const [people0, people1, orders0] = ['shop.people#0', 'shop.people#1', 'shop.orders#0'] as const;

interface Opened {
  readonly harness: LogHarness;
  readonly view: LogView;
  /** As the view names it. */
  readonly topic: (name: string) => string;
}

const opened: Record<'embedded' | 'kafka', () => Promise<Opened>> = {
  embedded: async () => {
    const harness = new SqliteHarness(streams);
    return { harness, view: viewOf('embedded', { pipeline: 'shop', folder: harness.directory, kafka: undefined }), topic: (name) => name };
  },
  kafka: async () => {
    const kafka = await kafkaAddress();
    const harness = new KafkaHarness(streams, kafka);
    const view = viewOf('kafka', { pipeline: `${harness.prefix}shop`, folder: '', kafka });
    return { harness, view, topic: (name) => `${harness.prefix}${name}` };
  },
};

describe.each(['embedded', 'kafka'] as const)('log %s', (kind) => {
  let at: Opened | undefined;
  afterEach(async () => {
    await at?.harness[Symbol.asyncDispose]();
  });

  /** Leads once and leaves. */
  async function lead(work?: (writer: Awaited<ReturnType<Log['lead']>>) => Promise<void>): Promise<void> {
    const log = await (at as Opened).harness.open();
    const writer = await log.lead(AbortSignal.timeout(60_000));
    await work?.(writer);
    await writer[Symbol.asyncDispose]();
    await log[Symbol.asyncDispose]();
  }

  test('takeovers alone count nothing; each record of a row counts once, in its topic and in all', { timeout: 120_000 }, async () => {
    at = await opened[kind]();
    const { view, topic } = at;
    for (let takeover = 0; takeover < 3; takeover += 1) {
      await lead();
      expect(await view.captured()).toBe(0);
    }
    await lead(async (writer) => {
      await writer.define(peopleSchema);
      await writer.append([
        { partition: people0, batch: rows(0, 3, { term: writer.term }) },
        { partition: people1, batch: rows(0, 1, { term: writer.term }) },
      ]);
      await writer.append([{ partition: people0, batch: tombstone(3, writer.term) }]);
    });
    expect(await view.captured()).toBe(5);
    await lead();
    expect(await view.captured()).toBe(5);
    await lead(async (writer) => await writer.append([{ partition: orders0, batch: rows(4, 6, { term: writer.term }) }]));
    expect([await view.captured(), await view.captured(topic('shop.people')), await view.captured(topic('shop.orders'))]).toEqual([
      7, 5, 2,
    ]);
    expect(await view.captured(topic('shop.none'))).toBe(0);
    const records = await view.records();
    expect(records.reduce((sum, one) => sum + one.records.length, 0)).toBe(7);
    expect(brokenRules(records)).toEqual([]);
  });
});
