/** Kafka behind TLS and logins: the log as over the plain listener, and what a person is told where trust or login is wrong. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import type { KafkaSettings } from '../../connectors/kafka/config.ts';
import { openKafkaLog } from '../../connectors/kafka/log.ts';
import { codec } from '../../src/codec.ts';
import type { Log } from '../../src/core/log-port.ts';
import { addScramUser, secureListener, type SecureListener } from '../../stack/kafka-secure.ts';
import { freePort } from '../../stack/ports.ts';
import type { Stack } from '../../stack/stack.ts';
import { privateStack } from '../support/servers.ts';
import { KafkaHarness, kafkaSettings, kafkaTestTiming } from './kafka-harness.ts';
import { consume, never, people, peopleStream } from './log-harness.ts';
import { range, rows, until } from './log-rows.ts';
import { quiet } from './sqlite-harness.ts';

const deadlineMs = 120_000;
const user = { username: 'alice', password: 'wonderland-7' };
type Mechanism = NonNullable<KafkaSettings['sasl']>['mechanism'];

describe('a listener with TLS and SASL', { timeout: 300_000 }, () => {
  let folder: string;
  let secure: SecureListener;
  let stack: Stack<'kafka'>;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'crossfade-secure-'));
    secure = await secureListener(folder, user);
    stack = await privateStack({ servers: ['kafka'], extraArgs: { kafka: secure.settings } });
    await addScramUser(stack.urls.kafka, user);
  }, 400_000);
  afterAll(async () => {
    await stack?.[Symbol.asyncDispose]();
    await rm(folder, { recursive: true, force: true });
  });

  function harnessOf(settings: Partial<KafkaSettings>): KafkaHarness {
    const harness = new KafkaHarness([peopleStream], secure.url, { tls: { ca: secure.caFile, verify: true }, ...settings });
    onTestFinished(() => harness[Symbol.asyncDispose]());
    return harness;
  }
  const login = (mechanism: Mechanism, password = user.password) => ({ sasl: { mechanism, ...user, password } });

  test.each(['plain', 'scram-sha-256', 'scram-sha-512'] as const)(
    'G1: over TLS, logged in by %s, the log is made, led, written, read and taken over',
    async (mechanism) => {
      const harness = harnessOf(login(mechanism));
      const log = await harness.open();
      expect(await log.check()).toEqual([]);
      const first = await log.lead(never);
      await first.append([{ partition: people, batch: rows(0, 5) }]);
      await first.complete({ position: 'five', throughUs: 5, writtenAtMs: 5 });
      const reader = consume(log, 'g');
      await until('the rows came', () => reader.numbers().length === 5, deadlineMs);
      const standby = (await harness.open()).lead(never);
      await first[Symbol.asyncDispose]();
      const second = await standby;
      expect((await second.tail()).complete?.position).toBe('five');
      await second.append([{ partition: people, batch: rows(5, 9) }]);
      await until('the rest came', () => reader.numbers().length === 9, deadlineMs);
      expect(reader.numbers()).toEqual(range(0, 9));
    },
  );

  /** With nothing to clear away after it: it never gets in. */
  async function outside(settings: Partial<KafkaSettings>, broker = secure.url): Promise<Log> {
    const tls = { ca: secure.caFile, verify: true };
    const all = { ...kafkaSettings(broker), tls, ...settings };
    const log = await openKafkaLog(all, { pipeline: 'shop', streams: [peopleStream], codec, logger: quiet, timing: kafkaTestTiming });
    onTestFinished(() => log[Symbol.asyncDispose]());
    return log;
  }
  const told = async (log: Log) => {
    const [finding, ...others] = await log.check();
    expect(others).toEqual([]);
    expect(JSON.stringify(finding)).not.toContain(user.password);
    return finding;
  };

  test('G1: a wrong password, a certificate of somebody unknown and one for another host are named, and never retried', async () => {
    const wrong = await outside(login('scram-sha-512', 'looking-glass'));
    expect(await told(wrong)).toMatchObject({ code: 'LOG_AUTH', message: expect.stringMatching(/refuse the login.*"sasl"/s) as string });
    await expect(wrong.lead(never)).rejects.toMatchObject({ code: 'LOG_AUTH', fault: 'fatal' });
    const unknown = await outside({ ...login('plain'), tls: true });
    expect(await told(unknown)).toMatchObject({
      code: 'LOG_AUTH',
      message: expect.stringMatching(/not trusted \(DEPTH_ZERO_SELF_SIGNED_CERT\).*"tls.ca"/s) as string,
    });
    const otherHost = await outside(login('plain'), `127.0.0.1:${secure.port}`);
    expect(await told(otherHost)).toMatchObject({
      code: 'LOG_AUTH',
      message: expect.stringMatching(/not trusted \(ERR_TLS_CERT_ALTNAME_INVALID\).*name the brokers as their certificates do/s) as string,
    });
    await expect(otherHost.lead(never)).rejects.toMatchObject({ code: 'LOG_AUTH', fault: 'fatal' });
  });

  test('G1: a place that is not there, and TLS where only the other side speaks it, say what to look at', async () => {
    const nowhere = await outside(login('plain'), `localhost:${await freePort()}`);
    expect(await told(nowhere)).toMatchObject({ code: 'LOG_UNREACHABLE', message: expect.stringContaining('(ECONNREFUSED)') as string });
    const noName = await outside(login('plain'), 'kafka.invalid:9092');
    expect(await told(noName)).toMatchObject({
      code: 'LOG_UNREACHABLE',
      message: expect.stringMatching(/\((ENOTFOUND|EAI_AGAIN)\).*"brokers"/s) as string,
    });
    const tlsToPlain = await outside({}, stack.urls.kafka);
    expect(await told(tlsToPlain)).toMatchObject({ message: expect.stringContaining('tls') as string });
    const plainToTls = await outside({ tls: false });
    expect(await told(plainToTls)).toMatchObject({ code: 'LOG_UNREACHABLE', message: expect.stringContaining('"tls"') as string });
  });
});
