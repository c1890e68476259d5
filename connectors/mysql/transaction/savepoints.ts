/**
 * The savepoints of a transaction, as far as the binlog tells of them. It does not tell of RELEASE SAVEPOINT, nor that a
 * trigger or a stored function has names of its own: one that it sets looks like another of the same name outside, and
 * outside the older one still counts. A rollback to one is in the binlog only where the transaction did something that does
 * not roll back; else the server leaves out what was rolled back.
 */
import { unsupportedEvent } from '../errors.ts';
import { isCertain } from '../statements/savepoint-name.ts';

interface Savepoint {
  readonly rows: number;
  /** Perhaps set by a trigger, while an older one of this name, with fewer rows, counts on. */
  readonly isDoubtful: boolean;
}

export class Savepoints {
  /** In the order in which they were set. */
  readonly #byName = new Map<string, Savepoint>();

  get any(): boolean {
    return this.#byName.size > 0;
  }

  /** `rows`: how many there were so far. */
  set(name: string, rows: number): void {
    const older = this.#byName.get(name);
    this.#byName.delete(name);
    this.#byName.set(name, { rows, isDoubtful: older !== undefined && (older.isDoubtful || older.rows !== rows) });
  }

  /** How many rows stay. Whatever was set later is gone. `place` is for messages. */
  rollbackTo(name: string, place: string): number {
    const savepoint = this.#byName.get(name);
    if (this.#byName.size > (savepoint ? 1 : 0) && ![...this.#byName.keys(), name].every(isCertain))
      throw unsupportedEvent(
        `ROLLBACK TO a savepoint, at ${place}, where names of savepoints have letters whose equality only the server knows`,
        'Name savepoints in Latin letters.',
      );
    if (!savepoint)
      throw unsupportedEvent(
        `ROLLBACK TO a savepoint that was not set, at ${place}`,
        'Report this with the output of mysqlbinlog at that place.',
      );
    if (savepoint.isDoubtful)
      throw unsupportedEvent(
        `ROLLBACK TO a savepoint, at ${place}, whose name was set twice with rows between`,
        'The binlog does not tell a name that a trigger or a stored function sets from the same name outside. Use a name once in a transaction, and in triggers and stored functions names that nothing else uses.',
      );
    let isLater = false;
    for (const other of this.#byName.keys()) {
      if (isLater) this.#byName.delete(other);
      isLater ||= other === name;
    }
    return savepoint.rows;
  }
}
