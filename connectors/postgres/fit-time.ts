/** Fractions of a second: which types hold them. */
import type { ColumnSchema } from '../../src/core/change.ts';
import type { TargetColumn } from './catalog.ts';
import { exact, type Fit, lossy } from './fit.ts';
import { fractionDigits, intervalFractionDigits } from './type-modifiers.ts';

/** For time, interval, timestamp and timestamptz. */
export function fraction(source: ColumnSchema, target: TargetColumn): Fit {
  const needed = source.scale ?? 6;
  const digits = target.base === 'interval' ? intervalFractionDigits(target) : fractionDigits(target);
  if (digits === undefined) return lossy('its fields are restricted');
  return digits >= needed ? exact : lossy(`fractions of a second beyond ${digits} digits would be rounded`);
}
