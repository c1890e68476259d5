/** What is done to values that a target cannot hold, and how a value is refused. */
import type { ColumnPolicies } from './config.ts';

type AlteredValue = 'nul' | 'zeroDate' | 'timeRange' | 'srid';

/** `altered` is told of each value that is written otherwise than it was. */
export interface Policy extends ColumnPolicies {
  readonly altered: (what: AlteredValue) => void;
}

/** Exact, or refused. */
export const strict: Policy = { nul: 'stop', zeroDate: 'stop', timeRange: 'stop', geometry: 'ewkb', altered: () => {} };

/** Why one value cannot be stored; the caller adds table and column. Holds no value. */
export class Refused extends Error {
  readonly remedy: string;

  constructor(what: string, remedy: string) {
    super(what);
    this.remedy = remedy;
  }

  /** A setting would get past it; but none is applied to a key. */
  get namesPolicy(): boolean {
    return this.remedy.includes(policySetting);
  }
}

const policySetting = '`values: { ';

/** The change stays in the log whatever becomes of the row in the source, so only a policy gets past it: setting → what it does. */
export function policyRemedy(ways: Readonly<Record<string, string>>): string {
  const told = Object.entries(ways).map(([setting, effect]) => `${policySetting}${setting} }\` and ${effect}`);
  return `Give the table's mapping in the configuration ${told.join(', or ')}; then start again. Correcting the row in the source does not help by itself: the change with this value comes first.`;
}

export function wrongKind(value: unknown, wanted: string): Refused {
  return new Refused(
    `a value is ${typeof value} where ${wanted} was expected`,
    'The log holds another kind than its schema says: run `crossfade check`.',
  );
}

export function stringOf(value: unknown): string {
  if (typeof value === 'string') return value;
  throw wrongKind(value, 'text');
}

export function bytesOf(value: unknown): Buffer {
  if (value instanceof Uint8Array) return Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  throw wrongKind(value, 'bytes');
}
