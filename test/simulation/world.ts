/** One simulated installation: a server, a log, targets, and the processes that run the real capture and apply loops. */
import { MemoryLogCluster, type StoredBatch } from '../../connectors/memory/log-cluster.ts';
import { type MemoryLog, openMemoryLog } from '../../connectors/memory/log.ts';
import { MemoryServer } from '../../connectors/memory/server.ts';
import { openMemorySink } from '../../connectors/memory/sink.ts';
import type { MemoryStore } from '../../connectors/memory/store.ts';
import { executedOf, openMemorySource } from '../../connectors/memory/source.ts';
import { codec } from '../../src/codec.ts';
import { tableName } from '../../src/core/change.ts';
import { partitionsOf, topicOf } from '../../src/core/partition.ts';
import type { PartitionId, Append, Log, StreamSpec, Writer } from '../../src/core/log-port.ts';
import type { Logger } from '../../src/core/ports.ts';
import type { Sink } from '../../src/core/sink-port.ts';
import type { Source } from '../../src/core/source-port.ts';
import { applySession } from '../../src/runtime/apply.ts';
import { captureSession } from '../../src/runtime/capture.ts';
import { disturbed, type SimulatedProcess } from '../support/faults.ts';
import { type PlannedService, type Plan, planHistory } from '../support/histories.ts';
import type { Random } from '../support/random.ts';
import { VirtualClock } from '../support/virtual-clock.ts';
import { noBreakage, type Breakage } from './breakage.ts';
import { folding, ownerWatched } from './sinks.ts';
import { checkComplete, TargetWatch } from './invariants.ts';
import { Oracle } from './oracle.ts';
import { refusalOf } from './poison.ts';

const silent: Logger = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

export class World {
  readonly clock = new VirtualClock();
  readonly random: Random;
  readonly plan: Plan;
  readonly breakage: Breakage;
  readonly server: MemoryServer;
  readonly cluster: MemoryLogCluster;
  readonly stores = new Map<string, MemoryStore>();
  readonly oracle: Oracle;
  readonly watches = new Map<string, TargetWatch>();
  /** Codes with which a process may stop for ever, because the history made it so. */
  readonly mayFail = new Set<string>();
  readonly violations: string[] = [];
  readonly trace: string[] = [];
  /** The log that each process has open, for its expulsion. */
  readonly #logs = new Map<SimulatedProcess, Set<MemoryLog>>();
  readonly deleted = new Map<PartitionId, readonly StoredBatch[]>();
  /** Service → its partitions. */
  readonly #read = new Map<string, ReadonlySet<PartitionId>>();
  /** Service and partition → the sink that claimed it last. */
  readonly #owners = new Map<string, Sink>();
  readonly atEnd: (() => void)[] = [];
  readonly #markers: Random;

  /** `poison`: of a history in which targets refuse rows. */
  constructor(random: Random, breakage: Breakage = noBreakage, poison?: Random) {
    this.random = random;
    this.breakage = breakage;
    this.plan = planHistory(random.fork());
    this.server = new MemoryServer('aaaaaaaa-0000-0000-0000-000000000001', () => this.clock.now() * 1000);
    for (const { id, columns, key } of [...this.plan.tables, this.plan.unmapped]) this.server.createTable(id, columns, key);
    const latency = random.fork();
    this.#markers = random.fork();
    const deliveryRecords = random.pick([1, 5, 5000]);
    const commit = () => (latency.chance(0.5) ? Promise.resolve() : this.clock.sleep(latency.between(1, 30)));
    this.cluster = new MemoryLogCluster({ codec, deliveryRecords, commit, batchBytesMax: random.pick([600, 2500, 1_000_000]) });
    this.oracle = new Oracle(this.server, this.plan);
    const partitions = new Map(this.plan.streams.map(({ topic, partitions }) => [topic, partitions]));
    const single = (partition: PartitionId) => partitions.get(topicOf(partition)) === 1;
    for (const service of this.plan.services) {
      const store = breakage.store();
      store.refuse = poison && refusalOf(poison);
      this.stores.set(service.name, store);
      const own = new Set(this.#streams(service).flatMap(partitionsOf));
      const reads = (partition: PartitionId) => own.has(partition);
      this.#read.set(service.name, own);
      this.watches.set(service.name, new TargetWatch(service, store, this.oracle, { single, reads }, this.violate));
    }
  }

  get commits(): number {
    return [...this.stores.values()].reduce((sum, { commits }) => sum + commits, 0);
  }

  readonly violate = (what: string): void => {
    this.note(`VIOLATION ${what}`);
    this.violations.push(what);
  };
  note(what: string): void {
    this.trace.push(`${((this.clock.now() - Date.UTC(2026, 0, 1)) / 1000).toFixed(3)} ${what}`);
  }

  /** Retention at its worst: everything goes that all services say they have applied. */
  deleteApplied(): void {
    for (const [id, { batches }] of this.cluster.partitions) {
      const readers = this.plan.services.filter(({ name }) => this.#read.get(name)?.has(id));
      const below = Math.min(...readers.map(({ name }) => this.cluster.groups.get(name)?.get(id) ?? 0));
      // What nobody reads stays: a service may be added.
      if (readers.length === 0) continue;
      const gone = batches.filter((batch) => batch.nextOffset <= below);
      if (gone.length === 0) continue;
      this.deleted.set(id, [...(this.deleted.get(id) ?? []), ...gone]);
      this.cluster.truncateBelow(id, below);
    }
  }

  /** The log has not heard of this process for too long: its leadership and its partitions go to others. */
  giveUp(process: SimulatedProcess): void {
    this.note(`${process.name} is given up`);
    for (const log of this.#logs.get(process) ?? []) {
      if (this.cluster.leader?.owner === log) this.cluster.depose();
      this.cluster.expel(log);
    }
  }

  capture(process: SimulatedProcess) {
    const { plan, clock } = this;
    const tables = plan.tables.map(({ id }) => id);
    const parts = {
      pipeline: 'sim',
      routing: plan.routing,
      logger: silent,
      meters: { captured: () => {}, appended: () => {}, completed: () => {} },
      openSource: () => process.call('openSource', { broken: false }, async () => this.#source(process, tables)),
      openLog: () => process.call('openLog', { broken: false }, async () => this.#log(process)),
      now: clock.now,
      completeEveryMs: plan.completeEveryMs,
      pace: clock,
      // Of many histories, so that batches grow over several of the source's and a death meets them half sent.
      restMs: plan.completeEveryMs % 3 === 0 ? 0 : plan.completeEveryMs / 4,
    };
    return (run: Parameters<typeof captureSession>[1]) => captureSession(parts, run);
  }

  apply(process: SimulatedProcess, service: PlannedService) {
    const parts = {
      service: service.name,
      mappings: service.mappings,
      mappingHash: () => 'unchanged',
      logger: silent,
      meters: { applied: () => {}, lag: () => {}, stands: () => {}, kept: () => {} },
      openLog: () => process.call('openLog', { broken: false }, async () => this.#log(process, service)),
      openSink: () => process.call('openSink', { broken: false }, async () => this.#sink(process, service)),
      now: this.clock.now,
      sleep: process.sleep,
      reportEveryMs: 1000,
    };
    return (run: Parameters<typeof applySession>[1]) => applySession(parts, run);
  }

  #source(process: SimulatedProcess, tables: Plan['tables'][number]['id'][]): Source {
    const random = this.random.fork();
    const raw = openMemorySource(this.server, {
      tables,
      // Another ceiling in each session: what was cut before is whole now, and the other way round.
      batchBytes: random.chance(0.5) ? this.plan.batchBytes : random.between(100, 5000),
      batchTransactions: () => random.between(1, 6),
      heartbeatMs: 1000,
      sleep: this.clock.sleep,
    });
    return disturbed('source', this.breakage.source(raw, this), process);
  }

  #log(process: SimulatedProcess, service?: PlannedService): Log {
    const raw = openMemoryLog(this.cluster, service ? this.#streams(service) : this.plan.streams);
    const open = this.#logs.get(process) ?? new Set();
    this.#logs.set(process, open.add(raw));
    process.onKill(() => raw.crash());
    return disturbed<Log>('log', this.breakage.log(raw, this), process, {
      answer: (method, value) => (method === 'lead' ? this.#writer(process, value as Writer) : value),
      done: (method, args) => {
        if (method === 'applied' && service !== undefined) this.#checkApplied(service.name, args[1] as ReadonlyMap<PartitionId, number>);
      },
    });
  }

  #writer(process: SimulatedProcess, raw: Writer): Writer {
    this.note(`${process.name} leads with term ${raw.term}`);
    // What the leader before left open is aborted, and leaves a marker: on Kafka every takeover may.
    for (const partition of this.cluster.partitions.keys()) if (this.#markers.chance(0.2)) this.cluster.gap(partition);
    const broken = this.breakage.writer(raw, this, process);
    return disturbed('writer', this.#piecemeal(broken, process), process, {
      ordered: ['append', 'complete', 'start', 'define'],
      done: (method, args) => {
        if (method === 'start') this.oracle.start ??= executedOf((args[0] as { position: string }).position);
        if (method === 'complete') {
          checkComplete(executedOf((args[0] as { position: string }).position), this.oracle, this.cluster, this.violate);
        }
      },
    });
  }

  /** An append over several partitions is not atomic: as on Kafka, a crash may leave some of them without it. */
  #piecemeal(raw: Writer, process: SimulatedProcess): Writer {
    const random = this.random.fork();
    return new Proxy(raw, {
      get(target, property) {
        const member: unknown = Reflect.get(target, property, target);
        if (property !== 'append') return typeof member === 'function' ? (member.bind(target) as unknown) : member;
        return async (appends: readonly Append[]) => {
          const order = [...Map.groupBy(appends, ({ partition }) => partition).values()].map((one) => ({ one, at: random.next() }));
          for (const append of order.sort((a, b) => a.at - b.at).flatMap(({ one }) => one)) {
            await target.append([append]);
            if (appends.length > 1 && random.chance(process.rates.kill)) process.kill();
            await process.checkpoint();
          }
        };
      },
    });
  }

  /** A sink of this service that nothing disturbs. */
  open({ name, mappings }: PlannedService): Sink {
    const { skipCompareAndSet } = this.breakage;
    const store = this.stores.get(name) as MemoryStore;
    const partitions = this.#streams({ mappings }).flatMap(partitionsOf);
    return openMemorySink(store, { mappings, skipCompareAndSet, onPoison: 'quarantine', partitions });
  }

  #streams({ mappings }: Pick<PlannedService, 'mappings'>): StreamSpec[] {
    return [...new Set(mappings.flatMap(({ source }) => this.plan.routing.get(tableName(source)) ?? []))];
  }

  #sink(process: SimulatedProcess, service: PlannedService): Sink {
    const store = this.stores.get(service.name) as MemoryStore;
    const raw = this.open(service);
    process.onKill(() => void raw[Symbol.asyncDispose]());
    const watched = ownerWatched(raw, service.name, this.#owners, this.violate);
    // What is refused is kept change by change.
    const folded = this.random.chance(0.5) && store.refuse === undefined ? folding(watched) : watched;
    return disturbed('sink', this.breakage.sink(folded, this), process, {
      done: (method, _, value) => {
        const watch = this.watches.get(service.name);
        if (method.startsWith('write') && value === 'committed') watch?.committed();
        if (method === 'tend') watch?.tended();
      },
    });
  }

  /** What a service tells the log about itself decides retention: never more than its target durably holds. */
  #checkApplied(service: string, offsets: ReadonlyMap<PartitionId, number>): void {
    for (const [partition, offset] of offsets) {
      const held = this.stores.get(service)?.progress.get(partition)?.progress?.nextOffset ?? 0;
      if (offset > held) this.violate(`${service} told the log that it applied ${partition} below ${offset}; its target says ${held}`);
    }
  }
}
