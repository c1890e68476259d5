/** Every kind of target, once. A new sink is a line here and a line in wire.ts, which the compiler asks for. */
import type { z } from 'zod';
import { postgresTarget } from '../connectors/postgres/config.ts';
import { redisTarget } from '../connectors/redis/config.ts';
import type { TableId, TableSchema } from './core/change.ts';

/** What a connector's config.ts says about its kind of target. */
interface TargetDescription {
  /** Of the setting that names the server. */
  readonly about: string;
  readonly settings: z.ZodType;
  /** A mapping's own settings beside `transforms`. */
  readonly mapping: z.ZodObject;
  /** The one of them that says where in the target the rows go. */
  readonly naming: string;
  /** Where they go; `options` are a mapping's settings, or empty. */
  readonly targetOf: (source: TableId, options: Readonly<Record<string, unknown>>) => string;
  /** Of a mapping's `values`, what changes more than values that stopped the service before; undefined for nothing. */
  readonly valueForms?: (options: Readonly<Record<string, unknown>>) => unknown;
  /** What is wrong when a person writes nothing behind the table's name; undefined where that is enough. */
  readonly whenEmpty: (source: TableId) => string | undefined;
  /** Why nothing that it refuses can be put aside there; undefined where it can. */
  readonly noQuarantine?: string;
  /** For `init`: the mapping of a table in YAML, on one line; empty where the name is enough. */
  readonly starter: (schema: TableSchema) => string;
  /** For `init`: which URLs are meant for it, and how to write one. */
  readonly url: { readonly pattern: RegExp; readonly form: string };
}

export const targets = { postgres: postgresTarget, redis: redisTarget } satisfies Readonly<Record<string, TargetDescription>>;

export type TargetKind = keyof typeof targets;
export const targetKinds = Object.keys(targets) as TargetKind[];

export type TargetSettings = { readonly [K in TargetKind]: z.output<(typeof targets)[K]['settings']> };
/** A kind with its own settings; one of them when no kind is named. */
export type Target<K extends TargetKind = TargetKind> = {
  readonly [P in K]: { readonly kind: P; readonly settings: TargetSettings[P] };
}[K];

export const describeTarget = (kind: TargetKind): TargetDescription => targets[kind];
