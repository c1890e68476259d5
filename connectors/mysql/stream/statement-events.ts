/** Statements in the binlog: judged by what they do to captured tables, and then a step of the transaction at hand. */
import type { TableId, TableSchema } from '../../../src/core/change.ts';
import { charset, decodeText } from '../charsets/charsets.ts';
import type { QueryEvent } from './event-bodies.ts';
import { placeText, type Place } from '../position/place.ts';
import type { ReaderOptions } from './reader-options.ts';
import { capturedName, refuseStatement } from '../statements/refusals.ts';
import type { Shapes } from '../rows/shapes.ts';
import { meaningOf, type StatementMeaning } from '../statements/statement.ts';
import type { TransactionAssembler } from '../transaction/transaction-assembler.ts';

const begin: StatementMeaning = { kind: 'begin' };

export class StatementEvents {
  readonly #options: ReaderOptions;
  readonly #shapes: Shapes;
  readonly #assembler: TransactionAssembler;
  /** The statement at hand may still come to nothing; see parseMariadbGtidEvent. */
  undecided = false;

  constructor(options: ReaderOptions, shapes: Shapes, assembler: TransactionAssembler) {
    this.#options = options;
    this.#shapes = shapes;
    this.#assembler = assembler;
  }

  /** `counts`: false for what lies before the start or was handed on before. */
  statement({ database, sql }: QueryEvent, place: Place, counts: boolean, ofTemporaryTable: boolean): void | Promise<void> {
    if (sql === 'BEGIN') return this.#assembler.statement(begin, place);
    const meaning = meaningOf(sql, database);
    if (counts && !this.undecided && !(ofTemporaryTable && meaning.kind === 'truncates')) this.#judge(meaning, database, place);
    if (changes.has(meaning.kind)) {
      const bytes = Buffer.from(sql);
      this.#assembler.fingerprint('statement', bytes, 0, bytes.length);
    }
    return this.#assembler.statement(meaning, place);
  }

  #judge(meaning: StatementMeaning, database: string, place: Place): void {
    const schema = meaning.kind === 'truncates' ? this.#schemaOf(meaning.table) : undefined;
    if (schema) return this.#assembler.truncate(schema, place.offset);
    const { tables, unkeyed, untransactional, foldsNames } = this.#options;
    refuseStatement(meaning, { mapped: tables.mapped, unkeyed, untransactional, foldsNames, database, place: placeText(place) });
  }

  /** Of a captured table, as its rows had it last; without rows so far, as the server described it when reading began. */
  #schemaOf(table: TableId): TableSchema | undefined {
    const { tables, foldsNames } = this.#options;
    const name = capturedName(table, tables.mapped, foldsNames);
    return name === undefined ? undefined : (this.#shapes.latest(name)?.decoder.schema ?? tables.described?.get(name));
  }

  /** A name that cannot be read right might be the one of a captured table, so a client's own character set is minded. */
  readonly decode = (bytes: Buffer, collation: number): string => {
    const set = charset(this.#options.tables.collations.charsetOf.get(collation) ?? 'utf8mb4');
    try {
      if (set) return decodeText(set, bytes);
    } catch {
      // A statement may hold binary texts; its names are readable all the same.
    }
    return bytes.toString('utf8');
  };
}

const changes: ReadonlySet<StatementMeaning['kind']> = new Set(['destroys', 'truncates', 'ignore', 'unknown']);
