import { expect, test } from 'vitest';
import { MemoryLogCluster } from '../../connectors/memory/log-cluster.ts';
import { openMemoryLog } from '../../connectors/memory/log.ts';
import { codec } from '../../src/codec.ts';
import { CrossfadeError, type ErrorCode, type Fault } from '../../src/core/errors.ts';
import type { Log } from '../../src/core/log-port.ts';
import type { Logger } from '../../src/core/ports.ts';
import { TroubleNote, type TroubleParts } from '../../src/runtime/trouble.ts';

const quiet: Logger = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };
const error = (code: ErrorCode, message = 'what happened', fault: Fault = 'retry') =>
  new CrossfadeError({ code, fault, message, remedy: 'Look.' });

function rig(more: Partial<TroubleParts> = {}) {
  const cluster = new MemoryLogCluster({ codec });
  let nowMs = 1000;
  const note = new TroubleNote({
    part: 'apply orders',
    logger: quiet,
    openLog: async (): Promise<Log> => openMemoryLog(cluster, []),
    now: () => (nowMs += 1),
    wellAfterMs: 5,
    ...more,
  });
  return { note, noted: () => cluster.troubles.get('apply orders') };
}

test('the trouble that ended a part is in the log once the note is settled, with the time of its first occurrence', async () => {
  const { note, noted } = rig();
  note.told('starting');
  note.told('waiting', error('TARGET_FULL'));
  note.told('waiting');
  note.told('waiting', error('TARGET_FULL'));
  await note.settled();
  expect(noted()).toEqual({ code: 'TARGET_FULL', fault: 'retry', message: 'what happened', sinceMs: 1001 });
  note.told('failed', error('TARGET_VALUE_REFUSED', 'too long', 'poison'));
  await note.settled();
  expect(noted()).toEqual({ code: 'TARGET_VALUE_REFUSED', fault: 'poison', message: 'too long', sinceMs: 1002 });
});

test('it is taken back when the part has run for a while, not when it only connected', async () => {
  const { note, noted } = rig({ wellAfterMs: 60_000 });
  note.told('waiting', error('TARGET_BUSY'));
  note.told('running');
  note.told('waiting', error('TARGET_BUSY'));
  await note.settled();
  expect(noted()?.sinceMs).toBe(1001);
  note.told('running');
  note.told('stopped');
  await note.settled();
  expect(noted()).toBeUndefined();

  const brief = rig({ wellAfterMs: 1 });
  brief.note.told('waiting', error('TARGET_BUSY'));
  await brief.note.settled();
  brief.note.told('running');
  await expect.poll(brief.noted).toBeUndefined();
});

test('a part that is stopped in trouble leaves it there', async () => {
  const { note, noted } = rig();
  note.told('waiting', error('TARGET_UNREACHABLE'));
  note.told('stopped');
  await note.settled();
  expect(noted()?.code).toBe('TARGET_UNREACHABLE');
});

test('what a standby meets is no trouble', async () => {
  const { note, noted } = rig();
  note.told('waiting', error('LOG_FENCED'));
  note.told('waiting', error('LOG_HELD'));
  await note.settled();
  expect(noted()).toBeUndefined();
});

test('a log that fails or hangs neither throws nor holds the end up', async () => {
  const failing = rig({ openLog: () => Promise.reject(error('LOG_FULL')) });
  failing.note.told('failed', error('TARGET_FULL'));
  await failing.note.settled();
  const hanging = rig({ openLog: () => new Promise<never>(() => {}), settleMs: 5 });
  hanging.note.told('failed', error('TARGET_FULL'));
  await hanging.note.settled();
  expect([failing.noted(), hanging.noted()]).toEqual([undefined, undefined]);
});
