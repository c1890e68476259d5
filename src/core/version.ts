import type { Version } from './change.ts';

/**
 * `epoch · file number · offset of the transaction · row ordinal · half`, each in fixed-width lower-case hex, so that
 * plain text order is source order. The halves of a key change: 0 delete, 1 tombstone, 2 insert or update. A TRUNCATE is 0.
 */
export type Half = 0 | 1 | 2;

export interface VersionPrefix {
  readonly epoch: number;
  readonly file: number;
  /** Byte offset of the transaction's first event; above 2^32 in files over 4 GiB. */
  readonly offset: number;
}

const hex = (value: number, width: number) => value.toString(16).padStart(width, '0');

export function versionPrefix({ epoch, file, offset }: VersionPrefix): string {
  if (epoch !== known.epoch || file !== known.file) known = { epoch, file, text: `${hex(epoch, 8)}-${hex(file, 8)}-` };
  return `${known.text}${hex(offset, 16)}-`;
}
/** Each transaction is mostly in the file that the last one was in. */
let known = { epoch: -1, file: -1, text: '' };

export function versionOf(prefix: string, ordinal: number, half: Half): Version {
  return `${prefix}${hex(ordinal, 8)}-${half}`;
}

export const versionWidth = 8 + 1 + 8 + 1 + 16 + 1 + 8 + 1 + 1;
/** Older than everything that any source ever wrote. */
export const versionZero: Version = versionOf(versionPrefix({ epoch: 0, file: 0, offset: 0 }), 0, 0);

/** The parts that {@link versionOf} puts together. */
export function splitVersion(version: Version): { readonly prefix: string; readonly ordinal: number; readonly half: Half } {
  return {
    prefix: version.slice(0, -10),
    ordinal: Number.parseInt(version.slice(-10, -2), 16),
    half: Number(version.slice(-1)) as Half,
  };
}

const pattern = /^([0-9a-f]{8})-([0-9a-f]{8})-([0-9a-f]{16})-([0-9a-f]{8})-([012])$/;

export interface ParsedVersion extends VersionPrefix {
  readonly ordinal: number;
  readonly half: Half;
}

export function parseVersion(version: Version): ParsedVersion | undefined {
  const parts = pattern.exec(version);
  if (!parts) return undefined;
  const [epoch, file, offset, ordinal] = parts.slice(1, 5).map((part) => Number.parseInt(part, 16)) as [number, number, number, number];
  return { epoch, file, offset, ordinal, half: Number(parts[5]) as Half };
}
