/** The last change of every key in a batch: fewer writes, and the only form that one upsert statement accepts. */
import type { Row } from './change.ts';
import { invariant } from './assert.ts';
import type { Entry } from './sink-port.ts';
import { keyText } from './canonical.ts';

export interface FoldedRow {
  readonly key: string;
  /** undefined: the row is to be gone; `identity` then holds at least its key's columns. */
  readonly row: Row | undefined;
  readonly identity: Row;
  /** The entry that decided. */
  readonly entry: Entry;
}

/** Per mapping, the last state of each key that the entries touch, in order of first touch. */
export function foldEntries(entries: readonly Entry[]): Map<number, FoldedRow[]> {
  const folded = new Map<number, Map<string, FoldedRow>>();
  for (const entry of entries) {
    let rows = folded.get(entry.mapping);
    if (!rows) folded.set(entry.mapping, (rows = new Map()));
    const { event } = entry;
    invariant(event.op !== 'truncate', 'a truncate is not folded');
    const names = event.schema.key;
    if (event.op === 'delete' || event.op === 'update') {
      const old = keyText(names, event.before);
      rows.set(old, { key: old, row: undefined, identity: event.before, entry });
    }
    if (event.op !== 'delete') {
      const key = keyText(names, event.after);
      rows.set(key, { key, row: event.after, identity: event.after, entry });
    }
  }
  return new Map([...folded].map(([mapping, rows]) => [mapping, [...rows.values()]]));
}
