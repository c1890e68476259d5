import { expect, test } from 'vitest';

import { openMemorySink } from '../../connectors/memory/sink.ts';
import { MemoryStore } from '../../connectors/memory/store.ts';
import type { Row } from '../../src/core/change.ts';
import { History, insert, person } from '../contract/sink-histories.ts';
import { contractMapping, sinkContract } from '../contract/sink.contract.ts';

const mappings = [contractMapping(0, 'people'), contractMapping(1, 'members')];

sinkContract('memory', { atomicTransactions: true, quarantine: true }, async () => {
  const store = new MemoryStore();
  let isConstrained = false;
  const balanceIn = (rows: ReadonlyMap<string, Row>, key: string, { balance }: Row) =>
    balance !== null && [...rows].some(([other, row]) => other !== key && row['balance'] === balance);
  store.refuse = (rows, key, row, name) => {
    if (name !== 'people') return undefined;
    if (typeof row['name'] === 'string' && row['name'].length > 40) return 'value';
    return isConstrained && balanceIn(rows, key, row) ? 'constraint' : undefined;
  };
  return {
    propertyRuns: 300,
    open: async (pipeline = '') => openMemorySink(store, { mappings, pipeline }),
    rows: async (mapping) => store.rows(mappings[mapping]?.target ?? ''),
    clear: async () => store.tables.clear(),
    loseNextReply: () => {
      store.loseReplies += 1;
    },
    refusing: {
      open: async (options) => openMemorySink(store, { mappings, pipeline: 'refusing', ...options }),
      constrain: async (isOn) => {
        isConstrained = isOn;
      },
      cut: () => {
        store.isCut = true;
      },
    },
    [Symbol.asyncDispose]: async () => undefined,
  };
});

test('skipCompareAndSet really breaks the fence, so that a simulation can notice', async () => {
  const store = new MemoryStore();
  const old = openMemorySink(store, { mappings, skipCompareAndSet: true });
  const young = openMemorySink(store, { mappings });
  const history = new History('t#0');
  await old.claim(['t#0']);
  await young.claim(['t#0']);
  expect(await old.write(history.batch([insert(person(1, 'zombie'))]))).toBe('committed');
  expect(store.rows('people')).toHaveLength(1);
});

test('dropEveryBatches loses rows and moves the progress', async () => {
  const store = new MemoryStore();
  const sink = openMemorySink(store, { mappings, dropEveryBatches: 2 });
  const history = new History('t#0');
  await sink.claim(['t#0']);
  await sink.write(history.batch([insert(person(1, 'kept'))]));
  await sink.write(history.batch([insert(person(2, 'lost'))]));
  expect(store.rows('people')).toHaveLength(1);
  expect((await sink.progress()).get('t#0')?.nextOffset).toBe(2);
});
