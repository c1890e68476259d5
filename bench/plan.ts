/** What a run of the benchmarks consists of, and how long that takes. */
export const logKinds = ['embedded', 'kafka'] as const;
export type LogKind = (typeof logKinds)[number];

/** With the seconds that each takes at scale 1 on two slow cores; only their proportions matter. */
const seconds = {
  'decode-bulk': 60,
  'decode-oltp': 45,
  'capture-bulk': 15,
  'capture-oltp': 12,
  'apply-bulk': 45,
  'apply-oltp': 20,
  'end-to-end-bulk': 45,
  'end-to-end-oltp': 25,
  'kafka-capture-bulk': 15,
  'kafka-capture-oltp': 12,
  'kafka-apply-bulk': 45,
  'kafka-apply-oltp': 20,
  'kafka-end-to-end-bulk': 45,
  'kafka-end-to-end-oltp': 25,
  latency: 105,
  'kafka-latency': 105,
  produce: 120,
} as const;

export type FigureName = keyof typeof seconds;
export const figureNames = Object.keys(seconds) as readonly FigureName[];
export const isFigureName = (name: string): name is FigureName => Object.hasOwn(seconds, name);

/** The README's text speaks of this and nothing else: all figures, the whole sets, and windows of ten seconds. */
export interface Extent {
  readonly only: readonly FigureName[];
  readonly scale: number;
  readonly latencySeconds: number;
}
export const wholeExtent: Extent = { only: figureNames, scale: 1, latencySeconds: 10 };

export const isWhole = ({ only, scale, latencySeconds }: Extent): boolean =>
  figureNames.every((name) => only.includes(name)) && scale === wholeExtent.scale && latencySeconds === wholeExtent.latencySeconds;

const loading = { 'loading bulk': 35, 'loading oltp': 60 } as const;
export type StepName = FigureName | keyof typeof loading;

interface Step {
  readonly name: StepName;
  readonly seconds: number;
}

/** How much of a run is done and how long the rest takes, told by what the steps so far took. */
export class Ahead {
  readonly #steps: readonly Step[];
  readonly #now: () => number;
  #plannedDone = 0;
  #tookDone = 0;
  #current: { readonly step: Step; readonly sinceMs: number } | undefined;
  #begun = 0;

  constructor(only: readonly FigureName[], scale: number, now: () => number = () => performance.now()) {
    const sets = (['bulk', 'oltp'] as const).filter((set) => only.some((name) => name.endsWith(set)));
    const loads = sets.map((set) => ({ name: `loading ${set}` as const, seconds: loading[`loading ${set}`] * scale }));
    // Time at a rate and the pairs of the producers hardly depend on how many rows there are.
    const takes = (name: FigureName) => seconds[name] * (name.endsWith('bulk') || name.endsWith('oltp') ? scale : 1);
    this.#steps = [...loads, ...only.map((name) => ({ name, seconds: Math.max(3, takes(name)) }))];
    this.#now = now;
  }

  begin(name: StepName): void {
    this.#end();
    const step = this.#steps.find((each) => each.name === name);
    if (!step) return;
    this.#begun += 1;
    this.#current = { step, sinceMs: this.#now() };
  }

  /** As `step 3 of 19, about 6 min left`; empty before the first. */
  text(): string {
    if (!this.#current) return '';
    const pace = this.#plannedDone > 0 ? this.#tookDone / this.#plannedDone : 1;
    const { step, sinceMs } = this.#current;
    const planned = this.#steps.reduce((sum, each) => sum + each.seconds, 0) - this.#plannedDone - step.seconds;
    const left = planned * pace + Math.max(2, step.seconds * pace - (this.#now() - sinceMs) / 1000);
    const about = left < 90 ? `${Math.round(left / 5) * 5 || 5} s` : `${Math.round(left / 60)} min`;
    return `step ${this.#begun} of ${this.#steps.length}, about ${about} left`;
  }

  #end(): void {
    if (!this.#current) return;
    const { step, sinceMs } = this.#current;
    this.#plannedDone += step.seconds;
    this.#tookDone += (this.#now() - sinceMs) / 1000;
    this.#current = undefined;
  }
}
