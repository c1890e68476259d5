/** A change between memory and the table of refused ones: as the log spells it, in UTF-8, with the shape of its row. */
import { invariant } from '../../src/core/assert.ts';
import type { ChangeEvent, Row, TableSchema, Value } from '../../src/core/change.ts';
import { readEnvelope } from '../../src/core/envelope.ts';
import { freeBytes } from '../../src/core/record-batch.ts';
import { cellJson, rowJson } from '../../src/core/row-json.ts';

/** JSON allows every character as an escape; what is not ASCII may be unknown to the database's encoding. Of shapes, which are short. */
const ascii = (json: string) => json.replace(/[\u0080-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);

const operations = { insert: 'c', update: 'u', delete: 'd', read: 'r' } as const;

export function shapeText(schema: TableSchema): string {
  return ascii(JSON.stringify(schema));
}

/** A value of more units than this is written piece by piece: its JSON is never one string, and the pieces are short-lived garbage that goes at once. */
const pieceUnits = 16 * 1024;
/** A row with a longer value is not kept as it was before an update: nothing is applied from there, it is only shown. */
const shownUnitsMax = 64 * 1024;

/** The change as bytes: whatever the database's encoding, they are only bytes to it, and nothing needs an escape. */
export function changeBytes(event: ChangeEvent): Buffer {
  invariant(event.op !== 'truncate', 'a truncate is never queued');
  const { schema, transactionId, committedAtUs } = event;
  const names = schema.columns.map(({ name }) => name);
  const before = event.op === 'delete' || (event.op === 'update' && !isLong(event.before)) ? event.before : undefined;
  // Without what was before, an update is the row as it is.
  const op = event.op === 'update' && before === undefined ? 'read' : event.op;
  const source = JSON.stringify({ db: schema.table.database, ts_us: committedAtUs, table: schema.table.table });
  const transaction = JSON.stringify({ id: transactionId });
  const pieces = new Pieces();
  pieces.text('{"before":');
  pieces.row(names, before);
  pieces.text(',"after":');
  pieces.row(names, event.op === 'delete' ? undefined : event.after);
  pieces.text(`,"source":${source},"transaction":${transaction},"op":"${operations[op]}"}`);
  return pieces.bytes();
}

const lengthOf = (value: Value | undefined) => (typeof value === 'string' || value instanceof Uint8Array ? value.length : 0);
const isLong = (row: Row) => Object.values(row).some((value) => lengthOf(value) > shownUnitsMax);

class Pieces {
  readonly #done: Buffer[] = [];
  #text = '';

  text(more: string): void {
    this.#text += more;
    if (this.#text.length >= pieceUnits) this.#flush();
  }

  row(names: readonly string[], row: Row | undefined): void {
    if (row === undefined) return this.text('null');
    if (!names.some((name) => lengthOf(row[name]) > pieceUnits)) return this.text(rowJson(names, row));
    for (const [index, name] of names.entries()) {
      this.text(`${index === 0 ? '{' : ','}${JSON.stringify(name)}:`);
      this.#cell(row[name] ?? null);
    }
    this.text('}');
  }

  /** Piece by piece, each given back at once: a huge row is never there twice. */
  bytes(): Buffer {
    this.#flush();
    const all = Buffer.allocUnsafeSlow(this.#done.reduce((sum, { length }) => sum + length, 0));
    let at = 0;
    for (const piece of this.#done.splice(0)) {
      all.set(piece, at);
      at += piece.length;
      freeBytes(piece);
    }
    return all;
  }

  #cell(value: Value): void {
    if (typeof value === 'string' && value.length > pieceUnits) this.#string(value);
    else if (value instanceof Uint8Array && value.length > pieceUnits) this.#binary(value);
    else this.text(cellJson(value));
  }

  #string(value: string): void {
    this.text('"');
    for (let at = 0; at < value.length;) {
      let end = Math.min(at + pieceUnits, value.length);
      // Half of a character alone could only be escaped.
      if (isHighHalf(value.charCodeAt(end - 1)) && end < value.length) end += 1;
      this.text(JSON.stringify(value.slice(at, end)).slice(1, -1));
      at = end;
    }
    this.text('"');
  }

  #binary(value: Uint8Array): void {
    const bytes = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
    this.text('"');
    // Three bytes are four digits, so that only the last piece is padded.
    for (let at = 0; at < bytes.length; at += pieceUnits * 3) this.text(bytes.toString('base64', at, at + pieceUnits * 3));
    this.text('"');
  }

  #flush(): void {
    if (this.#text.length > 0) this.#done.push(Buffer.from(this.#text, 'utf8'));
    this.#text = '';
  }
}

const isHighHalf = (unit: number) => unit >= 0xd800 && unit <= 0xdbff;

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
  /** In base64, as the server hands it out: see `envelopeColumn`. */
  readonly envelope: string;
  readonly version: string;
  readonly committedAtUs: number;
}

export function readChange({ envelope, version, committedAtUs }: StoredChange, schema: TableSchema, where: string): ChangeEvent {
  const place = { offset: 0, timestampMs: 0, key: null, term: 0, schemaId: schema.id, open: false };
  const event = readEnvelope({ ...place, value: Buffer.from(envelope, 'base64'), version, committedAtUs }, schema, where);
  invariant(event, 'a queued change is an event');
  return event;
}
