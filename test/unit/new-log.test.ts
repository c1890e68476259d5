import { expect, test } from 'vitest';
import type { Progress } from '../../src/core/sink-port.ts';
import { otherPipelines, refuseOtherPipelines, refuseSecondLog } from '../../src/runtime/new-log.ts';

const progress = (version: string, transactionId: string): Progress => ({
  logId: 'old',
  nextOffset: 5,
  lastOffset: 4,
  term: 1,
  version,
  transactionId,
  committedAtUs: 1_763_700_000_000_000,
  mappingHash: 'm',
});
const startLine = (transactionId: string) => `start: ${transactionId}`;

test('targets that this pipeline never filled let a new log begin', () => {
  expect(() => refuseSecondLog([], startLine)).not.toThrow();
  expect(() => refuseSecondLog([{ service: 'orders', progress: new Map(), others: [] }], startLine)).not.toThrow();
  expect(() => refuseOtherPipelines([{ service: 'orders', progress: new Map(), others: [] }], startLine)).not.toThrow();
});

test('G1: a target that was filled before forbids it, and the remedy begins where the least is applied', () => {
  const applied = [
    { service: 'orders', progress: new Map([['p.a.b#0', progress('2', 'T2')]]), others: [] },
    {
      service: 'stock',
      progress: new Map([
        ['p.a.c#0', progress('3', 'T3')],
        ['p.a.b#0', progress('1', 'T1')],
      ]),
      others: [],
    },
  ];
  expect(() => refuseSecondLog(applied, startLine)).toThrow(
    expect.objectContaining({
      code: 'LOG_LOST_HISTORY',
      fault: 'fatal',
      message: expect.stringMatching(/orders, stock.*p\.a\.b#0 of stock.*T1, committed 2025-11-21T/) as string,
      remedy: expect.stringContaining('start: T1') as string,
    }),
  );
});

test('G1: a target that another pipeline filled forbids to begin at the present; the remedy begins where the last one ended, of the service furthest behind', () => {
  const by = (pipeline: string, transactionId: string, seconds: number) => ({
    pipeline,
    transactionId,
    committedAtUs: 1_763_700_000_000_000 + seconds * 1_000_000,
  });
  const applied = [
    { service: 'orders', progress: new Map(), others: [by('shop-1', 'T1', 1), by('shop-2', 'T8', 8)] },
    { service: 'stock', progress: new Map(), others: [by('shop-2', 'T5', 5)] },
    { service: 'new', progress: new Map(), others: [] },
  ];
  expect(() => refuseOtherPipelines(applied, startLine)).toThrow(
    expect.objectContaining({
      code: 'TARGET_PROGRESS_FOREIGN',
      fault: 'fatal',
      message: expect.stringMatching(/orders by pipeline "shop-2" up to transaction T8, committed 2025-11-21T.*stock.*T5/) as string,
      remedy: expect.stringContaining('"start: T5"') as string,
    }),
  );
});

test('G1: where the start is named, another pipeline that filled the target is told, with where its rows end', () => {
  const [finding] = otherPipelines('service orders', [{ pipeline: 'shop-1', transactionId: 'T9', committedAtUs: 1_763_700_000_000_000 }]);
  expect(finding).toMatchObject({ level: 'warning', code: 'TARGET_PROGRESS_FOREIGN', where: 'service orders' });
  expect(finding?.message).toMatch(/"shop-1" up to transaction T9, committed 2025-11-21T.*must not lie behind it/);
});
