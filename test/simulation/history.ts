/** One history from its seed: a workload, processes that die, freeze and lose replies, a quiet end, and the verdict. */
import { type FaultRates, noFaults, type SimulatedProcess } from '../support/faults.ts';
import { randomTransaction } from '../support/histories.ts';
import { seeded, type Random } from '../support/random.ts';
import { type Breakage, noBreakage } from './breakage.ts';
import { checkLog } from './invariants.ts';
import { lookAfter, mend } from './poison.ts';
import { Slot } from './slot.ts';
import { World } from './world.ts';

export interface HistoryResult {
  readonly seed: number;
  readonly violations: readonly string[];
  readonly trace: readonly string[];
  readonly records: number;
  /** Of those, the barriers: a TRUNCATE is one in every partition of its stream. */
  readonly barriers: number;
  readonly commits: number;
  readonly calls: number;
  readonly faults: number;
  readonly kills: number;
  readonly zombies: number;
  /** Changes that a target had refused and that a person brought in at the end. */
  readonly mended: number;
}

const drainDeadlineMs = 900_000;

export async function runHistory(seed: number, breakage: Breakage = noBreakage): Promise<HistoryResult> {
  const history = new History(seed, breakage);
  return history.run();
}

class History {
  readonly #seed: number;
  readonly #world: World;
  readonly #slots: Slot[] = [];
  #rates: FaultRates;
  readonly #poison: Random | undefined;
  #quiet = false;
  #kills = 0;
  #zombies = 0;
  #mended = 0;

  constructor(seed: number, breakage: Breakage) {
    this.#seed = seed;
    const random = seeded(seed);
    // Of its own, so that a history without poison stays as it was.
    const poison = seeded(seed ^ 0x7015);
    this.#poison = poison.chance(0.4) ? poison : undefined;
    this.#world = new World(random, breakage, this.#poison);
    const rate = random.pick([0, 0.002, 0.01, 0.03]);
    this.#rates = { failBefore: rate, failAfter: rate, delay: rate * 2, hang: rate / 4, kill: rate / 3 };
  }

  async run(): Promise<HistoryResult> {
    const world = this.#world;
    const { clock, plan } = world;
    this.#start();
    this.#workload();
    this.#trouble();
    if (this.#poison) this.#person(this.#poison.fork());
    await clock.runUntil(() => this.#quiet || world.violations.length > 0, 3_600_000);
    await this.#drain();
    if (world.violations.length === 0) checkLog(world.oracle, world.cluster, world.deleted, world.violate);
    const processes = this.#slots.flatMap((slot) => slot.past);
    for (const process of processes) process.kill();
    for (const end of world.atEnd) end();
    const records = [...world.oracle.records().values()].flat();
    const sum = (of: (process: SimulatedProcess) => number) => processes.reduce((total, process) => total + of(process), 0);
    return {
      seed: this.#seed,
      violations: world.violations,
      trace: [`${plan.tables.length} tables, streams ${JSON.stringify(plan.streams)}, ${plan.services.length} services`, ...world.trace],
      records: records.length,
      barriers: records.filter(({ keyJson }) => keyJson === null).length,
      commits: world.commits,
      calls: sum((process) => process.calls),
      faults: sum((process) => process.faults),
      kills: this.#kills,
      zombies: this.#zombies,
      mended: this.#mended,
    };
  }

  #start(): void {
    const world = this.#world;
    const rates = () => this.#rates;
    const captures = world.random.between(1, 2);
    for (let index = 0; index < captures; index += 1) {
      this.#slots.push(new Slot(`capture${index}`, world, (process) => world.capture(process), rates));
    }
    for (const service of world.plan.services) {
      const members = world.random.between(1, 2);
      for (let index = 0; index < members; index += 1) {
        this.#slots.push(new Slot(`${service.name}.apply${index}`, world, (process) => world.apply(process, service), rates));
      }
    }
  }

  #workload(): void {
    const { clock, plan, server, random } = this.#world;
    const draws = random.fork();
    const pace = draws.pick([20, 200, 2000]);
    let left = plan.transactions;
    const next = () => {
      if (draws.chance(0.05)) server.rotate();
      if (draws.chance(0.02)) server.addColumn(draws.pick(plan.tables).id, column(`extra${left}`));
      if (draws.chance(0.12)) server.truncate(draws.pick([...plan.tables, plan.unmapped]).id);
      const burst = draws.chance(0.2) ? draws.between(2, 8) : 1;
      for (let index = 0; index < burst && left > 0; index += 1, left -= 1) server.commit(randomTransaction(server, plan, draws));
      if (left > 0) clock.at(draws.between(0, pace), next);
      else clock.at(draws.between(0, 20_000), () => (this.#quiet = true));
    };
    clock.at(draws.between(0, 500), next);
  }

  /** What happens to whole processes: kill, freeze with takeover, orderly stop, cut connections. */
  #trouble(): void {
    const world = this.#world;
    const { clock, random, server } = world;
    const draws = random.fork();
    const every = draws.pick([500, 3000, 15_000]);
    const act = () => {
      if (this.#quiet) return;
      for (const slot of this.#slots) if (!slot.current.alive) this.#revive(slot, draws.between(0, 3000));
      const slot = draws.pick(this.#slots);
      const what = draws.next();
      if (what < 0.3) this.#kill(slot);
      else if (what < 0.55) this.#freeze(slot, draws.between(100, 60_000), draws.between(500, 20_000));
      else if (what < 0.7) slot.stop();
      else if (what < 0.8) server.disconnect();
      else if (what < 0.9) world.deleteApplied();
      clock.at(draws.between(1, every), act);
    };
    clock.at(draws.between(1, every), act);
  }

  /** Somebody who tries and discards what is in quarantine while all goes on. */
  #person(draws: Random): void {
    const { clock } = this.#world;
    const every = draws.pick([2_000, 20_000, 200_000]);
    const act = () => {
      if (this.#quiet) return;
      void lookAfter(this.#world, draws);
      clock.at(draws.between(1, every), act);
    };
    clock.at(draws.between(1, every), act);
  }

  #kill(slot: Slot): void {
    if (!slot.current.alive) return;
    this.#world.note(`kill ${slot.current.name}`);
    slot.current.kill();
  }

  #revive(slot: Slot, delayMs: number): void {
    const dead = slot.current;
    this.#world.clock.at(delayMs, () => {
      if (slot.current !== dead || dead.alive) return;
      this.#kills += 1;
      slot.replace();
    });
  }

  /** Frozen for longer than the log waits, it is given up for dead and replaced; when it wakes, it goes on where it was. */
  #freeze(slot: Slot, forMs: number, givenUpAfterMs: number): void {
    const { clock } = this.#world;
    const process = slot.current;
    if (!process.alive || process.frozen) return;
    this.#world.note(`freeze ${process.name} for ${forMs} ms`);
    process.freeze();
    clock.at(givenUpAfterMs, () => {
      if (!process.frozen || slot.current !== process) return;
      this.#zombies += 1;
      this.#world.giveUp(process);
      slot.replace();
    });
    clock.at(forMs, () => process.wake());
  }

  /** Who stands where, for the message. */
  #standing(): string {
    const { cluster, watches } = this.#world;
    const slots = this.#slots.map(
      ({ current }) => `${current.name} ${current.alive ? (current.frozen ? 'frozen' : current.last) : 'dead'}`,
    );
    const behind = [...watches].filter(([, watch]) => !watch.caughtUp()).map(([name]) => name);
    return `leader ${cluster.leader?.term ?? 'none'}; ${slots.join(', ')}; behind: ${behind.join(' ')}`;
  }

  /** No more faults: everybody wakes, the dead are replaced, and all has to arrive without a person. */
  async #drain(): Promise<void> {
    const world = this.#world;
    const { clock } = world;
    world.note('quiet');
    this.#rates = noFaults;
    for (const slot of this.#slots) {
      for (const process of slot.past) {
        process.rates = noFaults;
        process.wake();
      }
      if (!slot.current.alive) slot.replace();
    }
    const done = () => {
      for (const slot of this.#slots) if (!slot.current.alive) slot.replace();
      return (
        world.violations.length > 0 || (world.oracle.start !== undefined && [...world.watches.values()].every((watch) => watch.caughtUp()))
      );
    };
    if (!(await clock.runUntil(done, drainDeadlineMs))) world.violate(`it did not drain: ${this.#standing()}`);
    if (world.violations.length > 0) return;
    const commits = world.commits;
    await clock.runUntil(() => world.violations.length > 0, 90_000);
    if (world.commits !== commits) world.violate('something was written after everything had arrived');
    if (this.#poison && world.violations.length === 0) this.#mended = await mend(world);
  }
}

const column = (name: string) => ({ name, kind: 'string' as const, nullable: true, type: 'varchar(40)', length: 40 });
