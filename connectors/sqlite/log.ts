/** The embedded log: one SQLite file on this machine, read and written by any number of processes. */
import { existsSync } from 'node:fs';
import { dirname } from 'node:path';
import type { TableSchema } from '../../src/core/change.ts';
import { logClosed } from '../../src/core/log-errors.ts';
import { partitionsOf } from '../../src/core/partition.ts';
import type { LogState, PartTrouble } from '../../src/core/log-state.ts';
import type { Delivery, Log, Offsets, PartitionId, ReadPlaces, RecordHead, Writer } from '../../src/core/log-port.ts';
import type { Finding } from '../../src/core/ports.ts';
import { noPauses, type ReadPauses } from '../../src/core/pauses.ts';
import { AppendThread } from './append-thread.ts';
import { nextTerm } from './appender.ts';
import { beat } from './beat.ts';
import { checkLog, freeBytes, roomFinding } from './check.ts';
import type { SqliteSettings } from './config.ts';
import { Cursors } from './cursors.ts';
import { waitForLock } from './election.ts';
import { guarded } from './errors.ts';
import { GroupsFile, isGone, leaderOf } from './groups.ts';
import { Membership } from './membership.ts';
import { readContents } from './records.ts';
import { defaultDelivery, defaultTiming, type DeliveryLimits, type SqliteLogOptions, type Timing } from './settings.ts';
import { ensureStreams, openStore, type Store, type StoreOptions } from './store.ts';
import { Pace, Wakeup } from './wakeup.ts';
import { SqliteWriter } from './writer.ts';

/** Opens nothing yet: the file is opened, or made, by the first call that needs it. */
export function openSqliteLog(settings: SqliteSettings, options: SqliteLogOptions): Promise<Log> {
  return Promise.resolve(new SqliteLog(settings, options));
}

/** What an open log holds: a connection for reading, the groups' file, and the way to hear of new batches. */
interface Open {
  readonly store: Store;
  readonly groups: GroupsFile;
  readonly wakeup: Wakeup;
  readonly partitions: ReadonlyMap<PartitionId, number>;
}

class SqliteLog implements Log {
  readonly #settings: SqliteSettings;
  readonly #options: SqliteLogOptions;
  readonly #timing: Timing;
  readonly #delivery: DeliveryLimits;
  readonly #closed = new AbortController();
  readonly #writers = new Set<SqliteWriter>();
  readonly #memberships = new Set<Membership>();
  readonly #schemas = new Map<string, TableSchema>();
  #open: Promise<Open> | undefined;

  constructor(settings: SqliteSettings, options: SqliteLogOptions) {
    this.#settings = settings;
    this.#options = options;
    this.#timing = { ...defaultTiming, ...options.timing };
    this.#delivery = { ...defaultDelivery, ...options.delivery };
  }

  check(): Promise<readonly Finding[]> {
    return checkLog(this.#settings, this.#options, this.#timing);
  }

  async lead(signal: AbortSignal): Promise<Writer> {
    const { groups, partitions, store: reading } = await this.#opened();
    const { logger } = this.#options;
    const either = AbortSignal.any([signal, this.#closed.signal]);
    await using parts = new AsyncDisposableStack();
    try {
      parts.use(await waitForLock(reading.path, groups, this.#timing, logger, either));
      const term = nextTerm(reading);
      groups.leads(term);
      parts.defer(() => groups.leadsNoMore(term));
      parts.use(beat(this.#timing.heartbeat, () => this.#showLeadership(groups, term)));
      for (const { name, topics } of this.#options.groups ?? []) groups.know(name, this.#partitionsOf(topics));
      const thread = parts.use(await this.#startThread(term));
      // What it opened is what we read.
      reading.throwIfReplaced();
      const held = parts.move();
      const writer: SqliteWriter = new SqliteWriter(
        {
          thread,
          store: reading,
          partitions,
          lowestApplied: () => groups.lowestApplied(),
          deleted: (batches) => logger.debug({ batches }, 'applied batches deleted by retention'),
          close: async () => {
            this.#writers.delete(writer);
            await held.disposeAsync();
          },
        },
        term,
      );
      this.#writers.add(writer);
      return writer;
    } catch (error) {
      signal.throwIfAborted();
      throw this.#closed.signal.aborted ? logClosed() : error;
    }
  }

  async *read(
    group: string,
    claim: (partitions: readonly PartitionId[]) => Promise<ReadPlaces>,
    signal: AbortSignal,
    pauses: ReadPauses = noPauses,
  ): AsyncGenerator<Delivery, void, undefined> {
    const { store, groups, wakeup, partitions } = await this.#opened();
    using _resumed = pauses.onResume(() => wakeup.wake());
    const { logger } = this.#options;
    const known = [...partitions.keys()];
    const join = () => {
      const joined = new Membership({ groups, group, partitions: known, timing: this.#timing, logger, changed: () => wakeup.wake() });
      this.#memberships.add(joined);
      return joined;
    };
    const either = AbortSignal.any([signal, this.#closed.signal]);
    const pace = new Pace();
    let cursors = this.#cursors(store, partitions, new Map());
    let membership = join();
    try {
      while (!either.aborted) {
        membership.refresh();
        if (!membership.holds) {
          logger.warn({ group }, 'this member was silent too long and lost its partitions, joining anew');
          this.#leave(membership);
          membership = join();
          // What it read until now is somebody else's, also when its new share is empty and there is nothing to claim.
          cursors = this.#cursors(store, partitions, new Map());
        }
        const share = membership.toClaim;
        if (share) {
          membership.claim(share);
          const from = await claim(share);
          // Whoever took some of it meanwhile may have moved on, and retention with it: then these answers are old.
          if (either.aborted || !membership.confirmed()) continue;
          const places = new Map(share.map((partition) => [partition, from.get(partition) ?? { offset: 0, term: 0 }]));
          cursors = this.#cursors(store, partitions, places);
          groups.applied(group, new Map([...places].map(([partition, { offset }]) => [partition, offset])));
          continue;
        }
        const delivery = cursors.next(pauses);
        if (delivery) {
          yield delivery;
          await pace.found();
        } else await wakeup.wait(pace.nextMs(), either);
      }
      this.#throwIfClosedBy(signal);
    } finally {
      this.#leave(membership);
    }
  }

  async *readFrom(offsets: Offsets, signal: AbortSignal): AsyncGenerator<Delivery, void, undefined> {
    const { store, wakeup, partitions } = await this.#opened();
    const either = AbortSignal.any([signal, this.#closed.signal]);
    const pace = new Pace();
    const places = new Map([...offsets].map(([partition, offset]) => [partition, { offset, term: 0 }]));
    const cursors = this.#cursors(store, partitions, places);
    while (!either.aborted) {
      const delivery = cursors.next();
      if (delivery) {
        yield delivery;
        await pace.found();
      } else await wakeup.wait(pace.nextMs(), either);
    }
    this.#throwIfClosedBy(signal);
  }

  async at(partition: PartitionId, offset: number): Promise<RecordHead | undefined> {
    const { store, partitions } = await this.#opened();
    return this.#cursors(store, partitions, new Map()).at(partition, offset);
  }

  async applied(group: string, offsets: Offsets): Promise<void> {
    (await this.#opened()).groups.applied(group, offsets);
  }

  async waits(group: string, sinceMs: ReadonlyMap<PartitionId, number | undefined>): Promise<void> {
    (await this.#opened()).groups.waitSince(group, sinceMs);
  }

  async forget(group: string): Promise<void> {
    (await this.#opened()).groups.forget(group);
  }

  async trouble(part: string, trouble: PartTrouble | undefined): Promise<void> {
    (await this.#opened()).groups.trouble(part, trouble);
  }

  async schema(id: string): Promise<TableSchema | undefined> {
    const { store } = await this.#opened();
    const known = this.#schemas.get(id);
    if (known) return known;
    const row = guarded(store.path, () => store.db.prepare('SELECT definition FROM schemas WHERE id = ?').get(id));
    if (!row) return undefined;
    const schema = JSON.parse(String(row['definition'])) as TableSchema;
    this.#schemas.set(id, schema);
    return schema;
  }

  async state(): Promise<LogState> {
    // A look must not make what it looks for.
    if (this.#open === undefined && !existsSync(this.#settings.path)) return nothing;
    const { store, groups } = await this.#opened();
    const { start, complete, partitions } = readContents(store);
    const leader = groups.leader();
    const directory = dirname(store.path);
    const room = roomFinding(directory, freeBytes(directory));
    return {
      partitions,
      groups: groups.offsets(),
      members: groups.members(),
      troubles: groups.troubles(),
      waits: groups.waits(),
      ...(start && { start }),
      ...(complete && { complete }),
      ...(room && { room }),
      ...(leader && !isGone(leader) && { leader: leaderOf(leader) }),
    };
  }

  #leave(membership: Membership): void {
    this.#memberships.delete(membership);
    membership[Symbol.dispose]();
  }

  #cursors(store: Store, partitions: ReadonlyMap<PartitionId, number>, from: ReadPlaces): Cursors {
    const cursors = new Cursors(store, partitions, this.#options.codec, this.#delivery);
    for (const [partition, place] of from) cursors.start(partition, place);
    return cursors;
  }

  #partitionsOf(topics: readonly string[]): PartitionId[] {
    return this.#options.streams.filter(({ topic }) => topics.includes(topic)).flatMap(partitionsOf);
  }

  #showLeadership(groups: GroupsFile, term: number): void {
    try {
      groups.leads(term);
    } catch (error) {
      // A missed sign of life is no reason to stop: the lock and the term decide who leads.
      this.#options.logger.warn({ err: error }, 'sign of life could not be written');
    }
  }

  get #storeOptions(): StoreOptions {
    const { path, synchronous } = this.#settings;
    return { path, synchronous, busyMs: this.#timing.busy };
  }

  #startThread(term: number): Promise<AppendThread> {
    const { appendThread, pipeline } = this.#options;
    return AppendThread.start(appendThread, { store: this.#storeOptions, pipeline, term, retention: this.#settings.retention });
  }

  async #opened(): Promise<Open> {
    if (this.#closed.signal.aborted) throw logClosed();
    this.#open ??= this.#openAll();
    try {
      return await this.#open;
    } catch (error) {
      // The next call tries again: a directory may have been made in the meantime.
      this.#open = undefined;
      throw error;
    }
  }

  async #openAll(): Promise<Open> {
    if (!existsSync(this.#settings.path)) this.#options.logger.info({ path: this.#settings.path }, 'making a new log');
    const store = await openStore(this.#storeOptions, this.#options.pipeline);
    try {
      const partitions = guarded(store.path, () => ensureStreams(store, this.#options.streams));
      const groups = new GroupsFile(store.path, store.logId, this.#timing);
      return { store, groups, partitions, wakeup: new Wakeup(store.logId) };
    } catch (error) {
      store[Symbol.dispose]();
      throw error;
    }
  }

  #throwIfClosedBy(signal: AbortSignal): void {
    if (!signal.aborted) throw logClosed();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closed.signal.aborted) return;
    this.#closed.abort();
    for (const writer of this.#writers) await writer[Symbol.asyncDispose]();
    const open = await this.#open?.catch(() => undefined);
    // A reader whose consumer never comes back must not keep its partitions until it expires.
    for (const membership of this.#memberships) membership[Symbol.dispose]();
    open?.wakeup[Symbol.dispose]();
    open?.groups[Symbol.dispose]();
    open?.store[Symbol.dispose]();
  }
}

const nothing: LogState = { partitions: new Map(), groups: new Map(), members: new Map(), troubles: new Map(), waits: new Map() };
