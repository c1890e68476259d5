/** Events that hold rows: from their bytes to the transaction at hand. */
import { corruptEvent } from '../errors.ts';
import { JsonOut } from '../values/row-out.ts';
import { inflated } from './mariadb-events.ts';
import { countRows, decodeRows, parseRowsHeader, type RowsKind } from '../rows/rows.ts';
import { countPartialRows, decodePartialUpdate } from '../rows/rows-partial.ts';
import { Shapes, tableId, type Tables, type TableShape } from '../rows/shapes.ts';
import type { TransactionAssembler } from '../transaction/transaction-assembler.ts';

/** A rows event as the table of types describes it. */
export interface RowsForm {
  readonly kind: RowsKind;
  readonly version: 1 | 2;
  /** MariaDB: the rows behind the header are compressed. */
  readonly compressed: boolean;
}

/** The server's way to end a statement that touched no row. */
const noTable = 0xffffff;

export class RowEvents {
  readonly shapes: Shapes;
  readonly #assembler: TransactionAssembler;
  readonly #out = new JsonOut();
  #shape: TableShape | undefined;
  #kind: RowsKind | undefined;
  #name = '';

  constructor(tables: Tables, assembler: TransactionAssembler) {
    this.shapes = new Shapes(tables);
    this.#assembler = assembler;
  }

  /** What rows are, for the fingerprint; mostly the same as the last time. */
  #named(shape: TableShape, kind: RowsKind): string {
    if (shape !== this.#shape || kind !== this.#kind) this.#name = `${shape.name} ${kind}`;
    this.#shape = shape;
    this.#kind = kind;
    return this.#name;
  }

  /** `body` to `end`: the event without header and checksum. `delivers`: its rows go out; else they are counted or held. */
  rows(form: RowsForm, b: Buffer, body: number, end: number, pos: number, delivers: boolean, where: () => string): void {
    const id = tableId(b, body);
    if (id === noTable) return;
    const shape = this.shapes.get(id);
    if (!shape) throw corruptEvent('a rows event names a table that was not described', where());
    const { kind } = form;
    const outer = parseRowsHeader(b, body, end, kind, form.version);
    if (outer.columns !== shape.columns.length) throw corruptEvent('a rows event has another number of columns than its table', where());
    const bytes = form.compressed ? inflated(b, outer.rows, end, where) : b;
    const header = form.compressed ? outer.withRows(0) : outer;
    const rowsEnd = form.compressed ? bytes.length : end;
    this.#assembler.rowsAt(pos);
    this.#assembler.fingerprint(this.#named(shape, kind), bytes, header.rows, rowsEnd);
    if (!this.#assembler.wantsRows) {
      if (shape.mapped) this.#assembler.sawMappedRows();
      return;
    }
    try {
      if (kind === 'partial update rows') {
        if (shape.mapped) decodePartialUpdate(bytes, rowsEnd, header, shape, this.#out, this.#assembler, where);
        else this.#assembler.skipped(countPartialRows(bytes, rowsEnd, header, shape, where));
      } else if (shape.mapped) decodeRows(bytes, rowsEnd, kind, header, shape, this.#out, this.#assembler, where);
      else this.#assembler.skipped(countRows(bytes, rowsEnd, kind, header, shape, where));
    } catch (error) {
      if (delivers) throw error;
      this.#assembler.failed(error);
    }
  }
}
