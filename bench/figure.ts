/** One measured figure, as `--json` prints it. */
export interface Figure {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  /** The least that is acceptable; null while none is set. */
  readonly floor: number | null;
  /** value : reference of the same run (the other way round where less is better); null without a reference. */
  readonly ratio: number | null;
  /** What the reference is. */
  readonly against: string | null;
  /** Whether what was moved was proven right, and the floor held. */
  readonly ok: boolean;
}

export interface Measured {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  readonly reference?: { readonly value: number; readonly name: string } | undefined;
  /** False where the result was proven wrong. */
  readonly isRight?: boolean;
}

const lessIsBetter = (unit: string) => /^(ms|MB|µs\/change|s)$/.test(unit);

export function figure({ name, value, unit, reference, isRight = true }: Measured): Figure {
  const ratio =
    reference && reference.value > 0 && value > 0 ? (lessIsBetter(unit) ? reference.value / value : value / reference.value) : null;
  return {
    name,
    value: round(value),
    unit,
    floor: null,
    ratio: ratio === null ? null : round(ratio),
    against: reference?.name ?? null,
    ok: isRight,
  };
}

/** Three digits that mean something; more would claim what this machine cannot repeat. */
const round = (value: number) => (Number.isFinite(value) ? Number(value.toPrecision(3)) : 0);

/** A table for a person: rates as bars, everything else as numbers; at most 78 columns. */
export function tableLines(figures: readonly Figure[]): string[] {
  const highest = Math.max(1, ...figures.filter(({ unit }) => unit === 'changes/s').map(({ value }) => value));
  return figures.map(({ name, value, unit, ratio, against, ok }) => {
    const bar = unit === 'changes/s' ? '█'.repeat(Math.max(1, Math.round((value / highest) * 20))) : '';
    const compared = ratio === null ? '' : `${ratio} × ${against}`;
    const mark = ok ? ' ' : '✗';
    return `${mark} ${name.padEnd(30)}${value.toLocaleString('en-US').padStart(9)} ${unit.padEnd(10)} ${bar}${bar && compared ? ' ' : ''}${compared}`.trimEnd();
  });
}
