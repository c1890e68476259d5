/** What a sink tells of other pipelines that filled the same target. */
import { expect, test } from 'vitest';

import type { Sink } from '../../src/core/sink-port.ts';
import { History, insert, person } from './sink-histories.ts';

export interface PipelineStage {
  partition(): string;
  open(pipeline?: string): Promise<Sink>;
}

export function pipelineTests(stage: PipelineStage): void {
  test('G1: another pipeline before us is known by its last transaction, and what it applied is not ours', async () => {
    const [p, q] = [stage.partition(), `${stage.partition()}-q`];
    const [now, old] = [await stage.open(`now-${process.pid}`), await stage.open(`before-${process.pid}`)];
    const pipeline = expect.stringContaining(`before-${process.pid}`) as string;
    await old.claim([p, q]);
    expect(await now.appliedByOthers()).not.toContainEqual(expect.objectContaining({ pipeline }));
    const [left, right] = [new History(p, { transaction: 5 }), new History(q, { transaction: 70 })];
    const late = right.batch([insert(person(2, 'late'))]);
    await old.write(late);
    await old.write(left.batch([insert(person(1, 'early'))]));
    const { transactionId, committedAtUs } = late.progress;
    expect(await now.appliedByOthers()).toContainEqual({ pipeline, transactionId, committedAtUs });
    expect(await old.appliedByOthers()).not.toContainEqual(expect.objectContaining({ pipeline }));
    expect(await now.progress()).toEqual(new Map());
    await old.reset([p, q]);
    expect(await now.appliedByOthers()).not.toContainEqual(expect.objectContaining({ pipeline }));
  });
}
