import { setImmediate as turn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { type Servers, takeSample } from '../../src/commands/status-sample.ts';
import { type Config, parseConfig } from '../../src/config.ts';
import { CrossfadeError } from '../../src/core/errors.ts';
import type { Log, RecordHead } from '../../src/core/log-port.ts';
import type { LogState } from '../../src/core/log-state.ts';
import type { Logger } from '../../src/core/ports.ts';
import type { Sink } from '../../src/core/sink-port.ts';
import type { Source } from '../../src/core/source-port.ts';

const quiet: Logger = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };
const nowMs = 1_000_000;
const orders = 'shop.shop.orders#0';

function configOf(services: number): Config {
  const one = (n: number) => `  s${n}: { postgres: "postgres://u@db${n}/d", tables: { shop.orders: } }`;
  const all = Array.from({ length: services }, (_, n) => one(n)).join('\n');
  const text = `pipeline: shop\nsource: { mysql: "mysql://u@db:3306" }\nservices:\n${all}\n`;
  const reading = parseConfig(text, '/etc/shop.yaml', { environment: {}, readSecret: () => undefined });
  if ('problems' in reading) throw new Error(JSON.stringify(reading.problems));
  return reading.config;
}

const unreachable = (code: 'TARGET_UNREACHABLE' | 'LOG_UNREACHABLE') =>
  new CrossfadeError({ code, fault: 'retry', message: 'away', remedy: 'Look.' });

/** A log with ten records, of which `groups` tell what each service noted; targets answer after so many turns of the loop. */
function servers(
  more: { readonly away?: ReadonlySet<string>; readonly log?: () => Promise<LogState>; readonly groups?: LogState['groups'] } = {},
) {
  const count = { looks: 0, opened: 0, closed: 0 };
  const state: LogState = {
    complete: { position: 'P', throughUs: (nowMs - 600) * 1000, writtenAtMs: nowMs, term: 1, ends: { [orders]: 10 } },
    partitions: new Map([[orders, { logId: 'L', startOffset: 0, endOffset: 10 }]]),
    groups: more.groups ?? new Map(),
    members: new Map(),
    troubles: new Map(),
    waits: new Map(),
  };
  const head: RecordHead = { offset: 7, version: 'v', term: 1, committedAtUs: (nowMs - 9000) * 1000 };
  const log = {
    async state() {
      count.looks += 1;
      for (let n = 0; n < 10; n += 1) await turn();
      return more.log ? more.log() : state;
    },
    at: async () => head,
    async [Symbol.asyncDispose]() {
      count.closed += 1;
    },
  } as unknown as Log;
  const closing = { async [Symbol.asyncDispose]() {} };
  let turns = 0;
  const fakes: Servers = {
    async openLog() {
      count.opened += 1;
      return log;
    },
    async openSink(_, { name }) {
      if (more.away?.has(name)) throw unreachable('TARGET_UNREACHABLE');
      const mine = (turns += 1);
      const progress = async () => {
        // None answers at the same moment as another.
        for (let n = 0; n < mine; n += 1) await turn();
        return new Map([[orders, { logId: 'L', nextOffset: 10 }]]);
      };
      return { progress, ...closing } as unknown as Sink;
    },
    openSource: async () => ({ describe: (position: string) => position, end: async () => 'P', ...closing }) as unknown as Source,
  };
  return { count, fakes };
}

test('twenty services are told by a few looks at the log, none of them older than what its target said', async () => {
  const { count, fakes } = servers();
  const sample = await takeSample(configOf(20), quiet, () => nowMs, fakes);
  expect(sample.services.map(({ lagSeconds }) => lagSeconds)).toEqual(Array(20).fill(0.6));
  // The targets answer over twenty turns, and a look takes ten.
  expect(count.looks).toBeLessThanOrEqual(4);
});

test('a log that does not answer is asked once, not once for each service', async () => {
  const { count, fakes } = servers({ log: () => Promise.reject(unreachable('LOG_UNREACHABLE')) });
  const sample = await takeSample(configOf(20), quiet, () => nowMs, fakes);
  expect(sample.log.error?.code).toBe('LOG_UNREACHABLE');
  expect(count).toEqual({ looks: 1, opened: 1, closed: 1 });
});

test('G11: a service whose target is away has the lag that follows from what it noted in the log', async () => {
  const groups = new Map([['s0', new Map([[orders, 7]])]]);
  const { fakes } = servers({ away: new Set(['s0', 's1']), groups });
  const { services } = await takeSample(configOf(2), quiet, () => nowMs, fakes);
  expect(services[0]).toMatchObject({ error: { code: 'TARGET_UNREACHABLE' }, isNoted: true, lagSeconds: 9, lagChanges: 3, applied: 7 });
  // One that noted nothing has, for all that is known, applied nothing.
  expect(services[1]).toMatchObject({ isNoted: true, lagSeconds: 9, lagChanges: 10, applied: 0 });
});

test('what a service noted of an earlier life of the log is no place in this one', async () => {
  const groups = new Map([['s0', new Map([[orders, 11]])]]);
  const { fakes } = servers({ away: new Set(['s0']), groups });
  const { services } = await takeSample(configOf(1), quiet, () => nowMs, fakes);
  expect(services[0]).toMatchObject({ isNoted: true, lagChanges: 10 });
  expect(services[0]?.partitions[0]).not.toHaveProperty('doubt');
});
