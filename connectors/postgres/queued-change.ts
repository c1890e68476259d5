/** A change between memory and the table of refused ones: as the log spells it, in ASCII, with the shape of its row. */
import { invariant } from '../../src/core/assert.ts';
import type { ChangeEvent, TableSchema } from '../../src/core/change.ts';
import { readEnvelope } from '../../src/core/envelope.ts';
import { rowJson } from '../../src/core/row-json.ts';

/** JSON allows every character as an escape; what is not ASCII may be unknown to the database's encoding. */
const ascii = (json: string) => json.replace(/[\u0080-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);

const operations = { insert: 'c', update: 'u', delete: 'd', read: 'r' } as const;

export function shapeText(schema: TableSchema): string {
  return ascii(JSON.stringify(schema));
}

export function changeText(event: ChangeEvent): string {
  invariant(event.op !== 'truncate', 'a truncate is never queued');
  const { schema, op, transactionId, committedAtUs } = event;
  const names = schema.columns.map(({ name }) => name);
  const before = op === 'update' || op === 'delete' ? rowJson(names, event.before) : 'null';
  const after = op === 'delete' ? 'null' : rowJson(names, event.after);
  const source = JSON.stringify({ db: schema.table.database, ts_us: committedAtUs, table: schema.table.table });
  const transaction = JSON.stringify({ id: transactionId });
  return ascii(`{"before":${before},"after":${after},"source":${source},"transaction":${transaction},"op":"${operations[op]}"}`);
}

/** Shapes by their text, so that rows of one shape share one plan. */
export class StoredShapes {
  readonly #byText = new Map<string, TableSchema>();

  of(text: string): TableSchema {
    let schema = this.#byText.get(text);
    // Written by shapeText alone.
    if (!schema) this.#byText.set(text, (schema = JSON.parse(text) as TableSchema));
    return schema;
  }
}

export interface StoredChange {
  readonly envelope: string;
  readonly version: string;
  readonly committedAtUs: number;
}

export function readChange({ envelope, version, committedAtUs }: StoredChange, schema: TableSchema, where: string): ChangeEvent {
  const place = { offset: 0, timestampMs: 0, key: null, term: 0, schemaId: schema.id, open: false };
  const event = readEnvelope({ ...place, value: Buffer.from(envelope, 'latin1'), version, committedAtUs }, schema, where);
  invariant(event, 'a queued change is an event');
  return event;
}
