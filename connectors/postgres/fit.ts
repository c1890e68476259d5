/** How well a target's type holds a source's values, and the small rules that the larger ones are made of. */
import type { ColumnSchema } from '../../src/core/change.ts';
import type { TargetColumn } from './catalog.ts';
import { characterLength } from './type-modifiers.ts';

/**
 * `exact`: every value fits. `narrow`: some values do not, and then the write is refused, never bent. `lossy`: some
 * values would be changed silently, or the kinds have nothing in common; nothing is written.
 */
export interface Fit {
  readonly fit: 'exact' | 'narrow' | 'lossy';
  readonly why: string;
  /** Narrow, but only for MySQL's own oddities: no warning for every such column. */
  readonly isQuiet?: boolean;
  /** Narrow because somebody chose a type that says more (boolean, jsonb, uuid): a wider one would not mend it but undo it. */
  readonly isChosen?: boolean;
}

/** undefined: this rule knows nothing of the target's type. */
export type Rule = (source: ColumnSchema, target: TargetColumn) => Fit | undefined;

export const exact: Fit = { fit: 'exact', why: '' };
export const narrow = (why: string): Fit => ({ fit: 'narrow', why });
export const quiet = (why: string): Fit => ({ fit: 'narrow', why, isQuiet: true });
export const chosen = (why: string): Fit => ({ fit: 'narrow', why, isChosen: true });
export const lossy = (why: string): Fit => ({ fit: 'lossy', why });
export const noWay = lossy('there is no exact way from the one to the other');

export function text(source: ColumnSchema, target: TargetColumn): Fit | undefined {
  if (target.base === 'text') return exact;
  if (target.base !== 'varchar') return undefined;
  const room = characterLength(target);
  return room === undefined || (source.length !== undefined && source.length <= room)
    ? exact
    : narrow(`texts over ${room} characters are refused`);
}

export const byBase =
  (...bases: string[]): Rule =>
  (_source, target) =>
    bases.includes(target.base) ? exact : undefined;

export const firstOf =
  (...list: Rule[]): Rule =>
  (source, target) => {
    for (const rule of list) {
      const fit = rule(source, target);
      if (fit) return fit;
    }
    return undefined;
  };

/** Text of a bounded length of our own spelling. */
export const spelled =
  (length: number): Rule =>
  (source, target) =>
    text({ ...source, length }, target);
