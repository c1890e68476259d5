/** What a reader on Kafka waits for, and what it says meanwhile: topics that no capture has made, partitions that nobody leads. */
import { expect, onTestFinished, test } from 'vitest';
import { openKafkaLog } from '../../connectors/kafka/log.ts';
import { codec } from '../../src/codec.ts';
import type { Log } from '../../src/core/log-port.ts';
import type { Logger } from '../../src/core/ports.ts';
import { kafkaAddress } from '../support/servers.ts';
import { KafkaHarness, kafkaSettings, kafkaTestTiming } from './kafka-harness.ts';
import { startKafkaProxy } from './kafka-proxy.ts';
import { consume, never, people, peopleStream } from './log-harness.ts';
import { range, rows, until } from './log-rows.ts';
import { quiet } from './sqlite-harness.ts';

const deadlineMs = 60_000;

function listening(): { readonly lines: string[]; readonly logger: Logger } {
  const lines: string[] = [];
  const say = (level: string) => (_: object, message: string) => void lines.push(`${level} ${message}`);
  return { lines, logger: { ...quiet, info: say('info'), warn: say('warn'), error: say('error') } };
}

test('a reader that comes before the first capture waits without a warning, and reads what that writes', async () => {
  const harness = new KafkaHarness([peopleStream], await kafkaAddress());
  onTestFinished(() => harness[Symbol.asyncDispose]());
  const { lines, logger } = listening();
  const reader = consume(await harness.openWith({ logger }), 'g');
  await until('it waits', () => lines.length > 0, deadlineMs);
  const writer = await (await harness.open()).lead(never);
  await writer.append([{ partition: people, batch: rows(0, 3) }]);
  await until('the rows came', () => reader.numbers().length === 3, deadlineMs);
  expect(lines).toEqual(['info waiting for the first capture, which makes the topics']);
});

test('a reader whose topics nobody makes says so in the end, as an error to try again; and an abort ends the wait', async () => {
  const harness = new KafkaHarness([peopleStream], await kafkaAddress());
  onTestFinished(() => harness[Symbol.asyncDispose]());
  const patient = consume(await harness.open(), 'g');
  const reader = consume(await harness.openWith({ timing: { ...kafkaTestTiming, newTopics: 300 } }), 'g');
  await reader.ended;
  expect(reader.error).toMatchObject({ code: 'LOG_UNREACHABLE', fault: 'retry', message: `the log has no ${people} yet` });
  await patient.stop();
  expect(patient.error).toMatchObject({ name: 'AbortError' });
});

test('a partition that nobody leads is told in the log line and in the state, and so is the end of it', { timeout: 240_000 }, async () => {
  const url = await kafkaAddress();
  const harness = new KafkaHarness([peopleStream], url);
  onTestFinished(() => harness[Symbol.asyncDispose]());
  const proxy = await startKafkaProxy(url);
  onTestFinished(() => proxy[Symbol.asyncDispose]());
  const direct = await harness.open();
  const writer = await direct.lead(never);
  await writer.append([{ partition: people, batch: rows(0, 3) }]);
  const { lines, logger } = listening();
  const options = { pipeline: 'shop', streams: [peopleStream], codec, logger, timing: kafkaTestTiming };
  const log: Log = await openKafkaLog(kafkaSettings(proxy.url, harness.prefix), options);
  onTestFinished(() => log[Symbol.asyncDispose]());
  const reader = consume(log, 'g');
  await until('the rows came', () => reader.numbers().length === 3, deadlineMs);
  // As when the only broker with a copy went away: the others say that nobody leads it.
  proxy.leaderless = harness.names.topic(peopleStream.topic);
  proxy.onRequest(1, () => (proxy.leaderless === undefined ? 'pass' : 'before'));
  await until('it is said', () => lines.some((line) => line.startsWith('warn no broker leads')), deadlineMs);
  const trouble = async () => (await direct.state()).troubles.get('apply g');
  await until('it is noted', async () => (await trouble()) !== undefined, deadlineMs);
  expect(await trouble()).toMatchObject({ code: 'LOG_UNREACHABLE', message: expect.stringContaining('has none for it now') as string });
  await writer.append([{ partition: people, batch: rows(3, 5) }]);
  proxy.leaderless = undefined;
  await until('the rows behind it came', () => reader.numbers().length === 5, deadlineMs);
  expect(reader.numbers()).toEqual(range(0, 5));
  await until('it is over', async () => (await trouble()) === undefined, deadlineMs);
  expect(lines.map((line) => line.split(/[ :]/)[0])).toEqual(['warn', 'info']);
});
