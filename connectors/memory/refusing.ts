/** What a target in memory does with changes that it refuses: the same promises as a real one's, in the plainest way. */
import { keyText } from '../../src/core/canonical.ts';
import { type ChangeEvent, type Row, tableName } from '../../src/core/change.ts';
import { CrossfadeError } from '../../src/core/errors.ts';
import type { Offsets, PartitionId } from '../../src/core/log-port.ts';
import type { PoisonPolicy, Quarantine, QueuedChange, QueuedState, QueueOutcome } from '../../src/core/quarantine-port.ts';

export type Tables = ReadonlyMap<string, ReadonlyMap<string, Row>>;
/** Why a table takes no such row: whatever the others are, or because of the others. undefined: it takes it. */
export type Refuse = (table: ReadonlyMap<string, Row>, key: string, row: Row, name: string) => 'value' | 'constraint' | undefined;

/** One change of one key. */
export interface MemoryChange {
  readonly table: string;
  readonly key: string;
  readonly row: Row | undefined;
  readonly event: ChangeEvent;
  readonly partition: PartitionId;
}

interface Queued extends MemoryChange {
  readonly id: string;
  state: QueuedState;
  code: string | undefined;
  reached: { readonly partition: PartitionId; readonly offset: number } | undefined;
}

export interface RefusalPolicy {
  readonly onPoison: PoisonPolicy;
  readonly mayHold: boolean;
  /** Several partitions at once: whatever is the matter with one change, none of them is written, and each goes by itself. */
  readonly isTogether?: boolean;
}

/** Of one service: what it keeps aside. */
export class Queues {
  queued: Queued[] = [];
  #ids = 0;

  of(partition: PartitionId, table: string, key: string): Queued[] {
    return this.queued.filter((each) => each.partition === partition && each.table === table && each.key === key);
  }

  add(change: MemoryChange, state: QueuedState, code?: string, reached?: Queued['reached']): void {
    this.queued.push({ ...change, id: String((this.#ids += 1)), state, code, reached });
  }

  remove(gone: readonly Queued[]): void {
    this.queued = this.queued.filter((each) => !gone.includes(each));
  }
}

type Draft = Map<string, Map<string, Row>>;

/** The tables with these changes, as far as they are taken; what is refused goes into the queues. Throws where that is to halt. */
export function applyRefusing(
  tables: Tables,
  queues: Queues,
  changes: readonly MemoryChange[],
  { onPoison, mayHold, isTogether = false }: RefusalPolicy,
  refuse: Refuse,
  reached: NonNullable<Queued['reached']>,
): Draft {
  const draft: Draft = new Map([...tables].map(([name, rows]) => [name, new Map(rows)]));
  const aside = new Map<string, { readonly changes: MemoryChange[]; kind: 'value' | 'constraint' }>();
  const behind: MemoryChange[] = [];
  for (const change of changes) {
    const name = `${change.table} ${change.key}`;
    if (queues.of(change.partition, change.table, change.key).length > 0) behind.push(change);
    else if (aside.has(name)) aside.get(name)?.changes.push(change);
    else {
      const kind = put(draft, change, refuse);
      if (kind) aside.set(name, { changes: [change], kind });
    }
  }
  const [matter] = isTogether ? [...behind, ...[...aside.values()].flatMap((queue) => queue.changes)] : [];
  // Nobody reads it: it says that one change has to be looked at by itself, whatever the reason.
  if (matter) throw poison('value', matter);
  for (let moved = true; moved;) {
    moved = false;
    for (const [name, queue] of aside) {
      if (queue.kind === 'value' || put(draft, queue.changes.at(-1) as MemoryChange, refuse)) continue;
      aside.delete(name);
      moved = true;
    }
  }
  const isHeld = (kind: string) => kind === 'constraint' && mayHold;
  for (const {
    kind,
    changes: [head],
  } of aside.values())
    if (head && !isHeld(kind) && onPoison === 'halt') throw poison(kind, head);
  for (const change of behind) queues.add(change, 'behind');
  for (const {
    kind,
    changes: [head, ...rest],
  } of aside.values()) {
    if (!head) continue;
    queues.add(head, isHeld(kind) ? 'held' : 'quarantined', codeOf(kind), reached);
    for (const change of rest) queues.add(change, 'behind');
  }
  return draft;
}

/** Why not; undefined when it is done. */
function put(draft: Draft, { table, key, row }: MemoryChange, refuse: Refuse): 'value' | 'constraint' | undefined {
  let rows = draft.get(table);
  if (!rows) draft.set(table, (rows = new Map()));
  const kind = row && refuse(rows, key, row, table);
  if (kind) return kind;
  if (row) rows.set(key, row);
  else rows.delete(key);
  return undefined;
}

export interface Tending {
  readonly partitions: ReadonlySet<PartitionId>;
  readonly policy: RefusalPolicy;
  readonly refuse: Refuse;
  readonly isPoison: (head: { readonly id: string; readonly reached: NonNullable<Queued['reached']> }) => boolean;
  readonly write: (draft: Draft) => void;
}

/** Tries the held queues of these partitions; answers how many are gone. */
export function tendQueues(tables: Tables, queues: Queues, { partitions, policy, refuse, isPoison, write }: Tending): number {
  let freed = 0;
  for (const head of queues.queued.filter(({ state, partition }) => state === 'held' && partitions.has(partition))) {
    const queue = queues.of(head.partition, head.table, head.key);
    const draft: Draft = new Map([...tables].map(([name, rows]) => [name, new Map(rows)]));
    const kind = put(draft, queue.at(-1) as Queued, refuse);
    if (!kind) {
      write(draft);
      queues.remove(queue);
      freed += 1;
    } else if (head.reached && isPoison({ id: head.id, reached: head.reached })) {
      if (policy.onPoison === 'halt') throw poison(kind, head);
      head.state = 'quarantined';
    }
  }
  return freed;
}

/** When what is held becomes poison: see the port. */
export class MemoryDeadlines {
  readonly #due = new Map<string, Offsets>();

  passed(
    id: string,
    reached: NonNullable<Queued['reached']>,
    ends: Offsets | undefined,
    nextOf: (partition: PartitionId) => number,
  ): boolean {
    let due = this.#due.get(id);
    if (!due && ends && (ends.get(reached.partition) ?? 0) >= reached.offset) this.#due.set(id, (due = ends));
    return due !== undefined && [...due].every(([partition, end]) => nextOf(partition) >= end);
  }
}

const codeOf = (kind: string) => (kind === 'value' ? ('TARGET_VALUE_REFUSED' as const) : ('TARGET_CONSTRAINT' as const));

function poison(kind: string, { event }: MemoryChange): CrossfadeError {
  return new CrossfadeError({
    code: codeOf(kind),
    fault: kind === 'value' ? 'poison' : 'fatal',
    message: `${tableName(event.schema.table)}: the target refuses a change of transaction ${event.transactionId}`,
    remedy: 'Change the target, then start again.',
  });
}

export class MemoryQuarantine implements Quarantine {
  readonly #queues: Queues;
  readonly #put: (change: MemoryChange) => 'value' | 'constraint' | undefined;
  readonly #fence: (partition: PartitionId) => void;

  /** `put`: into the tables, or why not. `fence`: raises the partition's owner epoch. */
  constructor(queues: Queues, put: (change: MemoryChange) => 'value' | 'constraint' | undefined, fence: (partition: PartitionId) => void) {
    this.#queues = queues;
    this.#put = put;
    this.#fence = fence;
  }

  async list(which: 'heads' | 'all'): Promise<readonly QueuedChange[]> {
    return this.#queues.queued.filter((each) => which === 'all' || this.#queueOf(each)[0] === each).map((each) => this.#shown(each));
  }

  async totals() {
    const sources = [...new Set(this.#queues.queued.map(({ event }) => tableName(event.schema.table)))];
    return sources.map((source) => {
      const all = this.#queues.queued.filter(({ event }) => tableName(event.schema.table) === source);
      const count = (state: QueuedState) => all.filter((each) => each.state === state).length;
      return { source, held: count('held'), quarantined: count('quarantined'), behind: count('behind'), oldestMs: 0 };
    });
  }

  async show(id: string) {
    const found = this.#queues.queued.find((each) => each.id === id);
    return found && { ...this.#shown(found), event: found.event };
  }

  async retry(id: string): Promise<QueueOutcome | undefined> {
    const found = this.#queues.queued.find((each) => each.id === id);
    return found && this.#retry(this.#queueOf(found));
  }

  async discard(id: string): Promise<QueueOutcome | undefined> {
    const found = this.#queues.queued.find((each) => each.id === id);
    if (!found) return undefined;
    const [head, ...rest] = this.#queueOf(found);
    this.#queues.remove([found]);
    this.#fence(found.partition);
    const left = head === found ? rest : this.#queueOf(found);
    if (left.length === 0 || head !== found) return { key: found.key, applied: 0, left: left.length };
    const outcome = this.#retry(left);
    if (outcome.left > 0 && rest[0]) rest[0].state = 'quarantined';
    return outcome;
  }

  #retry(queue: readonly Queued[]): QueueOutcome {
    const last = queue.at(-1) as Queued;
    const kind = this.#put(last);
    if (kind) return { key: last.key, applied: 0, left: queue.length, code: codeOf(kind), reason: kind };
    this.#queues.remove(queue);
    this.#fence(last.partition);
    return { key: last.key, applied: queue.length, left: 0 };
  }

  #queueOf({ partition, table, key }: Queued): Queued[] {
    return this.#queues.of(partition, table, key);
  }

  #shown(each: Queued): QueuedChange {
    const { id, state, table, partition, key, event, code } = each;
    const queue = this.#queueOf(each);
    const { version, transactionId, committedAtUs } = event;
    const op = event.op as QueuedChange['op'];
    const place = {
      id,
      state,
      source: tableName(event.schema.table),
      target: table,
      partition,
      key,
      op,
      version,
      transactionId,
      committedAtUs,
    };
    return {
      ...place,
      firstSeenMs: 0,
      behind: queue[0] === each ? queue.length - 1 : 0,
      ...(code === undefined ? {} : { code, reason: code }),
    };
  }
}

/** A change of a key's columns is a delete of the one and an insert of the other. */
export function changesOf(event: ChangeEvent, table: string, partition: PartitionId): MemoryChange[] {
  const names = event.schema.key;
  if (event.op === 'truncate') return [];
  if (event.op === 'delete') return [{ table, key: keyText(names, event.before), row: undefined, event, partition }];
  const after: MemoryChange = { table, key: keyText(names, event.after), row: event.after, event, partition };
  if (event.op !== 'update' || keyText(names, event.before) === after.key) return [after];
  const { before, after: row, op: _, ...rest } = event;
  const gone = { table, key: keyText(names, before), row: undefined, event: { ...rest, op: 'delete' as const, before }, partition };
  return [gone, { ...after, event: { ...rest, op: 'insert' as const, after: row } }];
}
