/** One measured figure, as `--json` prints it. */
export interface Figure {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  /** The least that is acceptable, the most where less is better; null where none is set, or could be. */
  readonly floor: number | null;
  /** It has a floor, which hangs on a reference that could not be measured here: then it is not ok. */
  readonly lacksFloor: boolean;
  /** value : reference of the same run (the other way round where less is better); null without a reference. */
  readonly ratio: number | null;
  /** What the reference is. */
  readonly against: string | null;
  /** What was moved was not proven wrong. */
  readonly isRight: boolean;
  /** That, and the floor held. */
  readonly ok: boolean;
}

export interface Measured {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  readonly reference?: { readonly value: number; readonly name: string } | undefined;
  /** False where the result was proven wrong. */
  readonly isRight?: boolean;
  /** See `Figure`; undefined where none is set, or at a scale at which none is held; null where it is lacking. */
  readonly floor?: number | null | undefined;
}

export const lessIsBetter = (unit: string) => /^(ms|MB|µs\/change|s)$/.test(unit);

export function figure({ name, value, unit, reference, isRight = true, floor }: Measured): Figure {
  const ratio =
    reference && reference.value > 0 && value > 0 ? (lessIsBetter(unit) ? reference.value / value : value / reference.value) : null;
  return {
    name,
    value: round(value),
    unit,
    floor: typeof floor === 'number' ? round(floor) : null,
    lacksFloor: floor === null,
    ratio: ratio === null ? null : round(ratio),
    against: reference?.name ?? null,
    isRight,
    ok: isRight && (floor === undefined || (floor !== null && (lessIsBetter(unit) ? value <= floor : value >= floor))),
  };
}

/** Three digits that mean something; more would claim what this machine cannot repeat. */
const round = (value: number) => (Number.isFinite(value) ? Number(value.toPrecision(3)) : 0);

/** A line for a person each. */
export function tableLines(figures: readonly Figure[]): string[] {
  return figures.map(({ name, value, unit, floor, lacksFloor, ratio, against, ok }) => {
    const bound = floor === null ? (lacksFloor ? 'no floor' : '') : `${lessIsBetter(unit) ? '≤' : '≥'} ${grouped(floor)}`;
    const compared = ratio === null ? '' : `${ratio} × ${against}`;
    return `${ok ? ' ' : '✗'} ${name.padEnd(38)}${grouped(value).padStart(9)} ${unit.padEnd(10)} ${bound.padEnd(11)}${compared}`.trimEnd();
  });
}

export const grouped = (value: number) => value.toLocaleString('en-US');
