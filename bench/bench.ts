/** What every figure needs: the servers, the scale, and the way to say something. */
import type { Client } from 'pg';

import type { Stack } from '../stack/stack.ts';
import { makeConfig, type ConfigFolder } from './config-file.ts';
import { figure, type Figure, type Measured } from './figure.ts';
import { rssMbMax } from './floors.ts';
import type { Loaded } from './load.ts';
import type { Ahead, FigureName, LogKind } from './plan.ts';
import type { Say } from './say.ts';
import { prove } from './target.ts';
import { rowsOf } from './data-set.ts';

export interface BenchOptions {
  readonly scale: number;
  readonly only: readonly FigureName[];
  readonly latencySeconds: number;
  readonly say: Say;
  readonly ahead: Ahead;
  readonly add: (figure: Figure) => void;
}

export interface Bench extends BenchOptions {
  readonly stack: Stack<'mysql' | 'postgres'>;
  /** Undefined where no figure needs Kafka. */
  readonly kafka: Stack<'kafka'> | undefined;
  readonly postgresUrl: string;
  readonly client: Client;
  /** A small set measures starts more than work: floors are for the whole one. */
  readonly holdsFloors: boolean;
  /** Rows a second of psql's COPY and upsert, the most that it has reached in this run; undefined while it was not asked. */
  readonly upserts: { fastest: number | undefined };
}

export type AddFigure = (name: string, value: number, unit: string, more?: Pick<Measured, 'reference' | 'isRight' | 'floor'>) => void;

/** Figures under one prefix; a floor is left out where none is held. */
export function adder({ add, holdsFloors }: Bench, prefix: string): AddFigure {
  return (name, value, unit, { floor, ...more } = {}) =>
    add(figure({ name: `${prefix}.${name}`, value, unit, ...more, floor: holdsFloors ? floor : undefined }));
}

export function addMemory(add: AddFigure, rssMb: number): void {
  // Zero is no figure: there was nothing to read it from.
  add('rss', rssMb, 'MB', { isRight: rssMb > 0, floor: rssMbMax });
}

export const urlOfKafka = ({ kafka }: Bench, log: LogKind): string | undefined => (log === 'kafka' ? kafka?.urls.kafka : undefined);

export function configFor(bench: Bench, { startGtid, set }: Loaded, log: LogKind, pipeline: string): ConfigFolder {
  const { stack, postgresUrl } = bench;
  const kafkaUrl = urlOfKafka(bench, log);
  return makeConfig({ mysqlUrl: stack.urls.mysql, startGtid, postgresUrl, table: set.table, pipeline: `${log}_${pipeline}`, kafkaUrl });
}

/** Whether the target holds what the source holds, in full. */
export async function isProven(
  { client, say }: Pick<Bench, 'client' | 'say'>,
  { set, digest }: Pick<Loaded, 'set' | 'digest'>,
): Promise<boolean> {
  const proof = await say.during(`comparing ${set.table} in full`, () => prove(digest, client, set.table));
  if (!proof.isEqual) say.line(`${set.table} differs: ${proof.difference}`);
  return proof.isEqual && proof.rows === rowsOf(set);
}
