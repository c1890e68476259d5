/** A batch taken apart: one change of one key each, which the target does by one statement. */
import { createHash } from 'node:crypto';
import { invariant } from '../../src/core/assert.ts';
import { keyText } from '../../src/core/canonical.ts';
import type { Row } from '../../src/core/change.ts';
import type { Entry } from '../../src/core/sink-port.ts';
import { singleSteps, type PlanOf } from './batch.ts';
import type { RowStep } from './row-steps.ts';
import { quotedTarget, type TargetName } from './identifiers.ts';

export interface Unit {
  /** Its event touches one key only. */
  readonly entry: Entry;
  /** Digest of the target and the key: equal for equal keys of one table, and tells nothing of them. */
  readonly key: string;
}

export type TargetNameOf = (mapping: number) => TargetName;

/** In order. A change of a key's columns is a delete of the one and an insert of the other. */
export function unitsOf(entries: readonly Entry[], nameOf: TargetNameOf): Unit[] {
  return entries.flatMap(({ mapping, event }): Unit[] => {
    const unit = (one: Entry['event'], row: Row): Unit => ({
      entry: { mapping, event: one },
      key: keyDigest(nameOf(mapping), keyText(event.schema.key, row)),
    });
    invariant(event.op !== 'truncate', 'a truncate comes alone, as a barrier');
    if (event.op === 'delete') return [unit(event, event.before)];
    const to = unit(event, event.after);
    if (event.op !== 'update') return [to];
    const from = unit(event, event.before);
    if (from.key === to.key) return [to];
    const { before, after, ...rest } = event;
    return [unit({ ...rest, op: 'delete', before }, before), unit({ ...rest, op: 'insert', after }, after)];
  });
}

function keyDigest(name: TargetName, text: string): string {
  return createHash('sha256').update(quotedTarget(name)).update('\0').update(text).digest('hex').slice(0, 32);
}

/** Throws TARGET_VALUE_REFUSED where a value cannot even be written down. */
export function stepOf({ entry }: Unit, planOf: PlanOf): RowStep {
  const [step, ...more] = singleSteps([entry], planOf);
  invariant(step && more.length === 0, 'a change of one key is one step');
  return step;
}
