/** The numbers that Postgres keeps behind a type: lengths, digits, fractions. -1 is "none given". */
import type { TargetColumn } from './catalog.ts';

export function numericDigits({ typmod }: TargetColumn): { readonly precision: number; readonly scale: number } | undefined {
  if (typmod < 4) return undefined;
  const packed = typmod - 4;
  // Eleven bits, signed since Postgres 15.
  const scale = ((packed & 0x7ff) ^ 1024) - 1024;
  return { precision: (packed >> 16) & 0xffff, scale };
}

/** Characters that varchar(n) or char(n) holds. */
export function characterLength({ typmod }: TargetColumn): number | undefined {
  return typmod < 4 ? undefined : typmod - 4;
}

/** Digits behind the second of time, timestamp and timestamptz. */
export function fractionDigits({ typmod }: TargetColumn): number {
  return typmod < 0 ? 6 : typmod;
}

/** Of an interval; undefined when its fields are restricted (`interval day to hour`). */
export function intervalFractionDigits({ typmod }: TargetColumn): number | undefined {
  if (typmod < 0) return 6;
  if (((typmod >> 16) & 0x7fff) !== 0x7fff) return undefined;
  const digits = typmod & 0xffff;
  return digits === 0xffff ? 6 : digits;
}

/** Of PostGIS' geometry; 0 where the column takes any. Twenty-one bits, signed. */
export function geometrySrid({ typmod }: TargetColumn): number {
  return typmod < 0 ? 0 : ((typmod & 0x0fff_ff00) - (typmod & 0x1000_0000)) >> 8;
}
