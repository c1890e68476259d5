/** Our decoder against zongji as it comes: the same server sends the same binlog to both, and the rows must be the same. */
import { inChild } from './child.ts';
import { changesOf } from './data-set.ts';
import { figure, type Figure } from './figure.ts';
import { leastOfZongji } from './floors.ts';
import type { Loaded } from './load.ts';
import type { Say } from './say.ts';

export interface DecodeTask {
  readonly reader: 'ours' | 'zongji';
  readonly url: string;
  /** The binlog's first file. */
  readonly file: string;
  readonly table: string;
  readonly rows: number;
  /** Hashes every row: then the time means nothing. */
  readonly prove: boolean;
  readonly deadlineSeconds: number;
}

export interface FromDecode {
  readonly rows: number;
  readonly seconds: number;
  readonly cpuUs: number;
  /** Over all rows in their order, in one form for both readers; of nothing where nothing was to be proven. */
  readonly hash: string;
}

interface DecodeOptions {
  readonly url: string;
  readonly say: Say;
  readonly add: (figure: Figure) => void;
  readonly holdsFloors: boolean;
}

export async function decodeFigures({ url, say, add, holdsFloors }: DecodeOptions, { set, binlogs }: Loaded): Promise<void> {
  const run = (reader: DecodeTask['reader'], prove: boolean) =>
    say.during(`decoding ${set.name}, ${reader}${prove ? ', hashed' : ''}`, () =>
      runDecode({ reader, url, file: binlogs[0] ?? '', table: set.table, rows: changesOf(set), prove, deadlineSeconds: 240 }),
    );
  const ours = await run('ours', true);
  const theirs = await run('zongji', true);
  const isSame = ours.hash === theirs.hash && ours.rows === theirs.rows;
  if (!isSame) say.line(`decode: the readers differ: ${ours.rows} rows ${ours.hash} against ${theirs.rows} rows ${theirs.hash}`);
  // In turns, so that a slow minute of the machine meets both; of each the better run counts.
  const runs: Record<DecodeTask['reader'], FromDecode[]> = { ours: [], zongji: [] };
  for (const reader of ['ours', 'zongji', 'ours', 'zongji', 'ours', 'zongji'] as const) runs[reader].push(await run(reader, false));
  const fastest = (of: readonly FromDecode[]) => of.reduce((a, b) => (b.seconds < a.seconds ? b : a));
  const [best, peer] = [fastest(runs.ours), fastest(runs.zongji)];
  const rate = ({ rows, seconds }: FromDecode) => rows / seconds;
  const reference = { name: 'zongji', value: rate(peer) };
  const floor = holdsFloors ? leastOfZongji * rate(peer) : undefined;
  add(figure({ name: `decode.${set.name}.rate`, value: rate(best), unit: 'changes/s', reference, isRight: isSame, floor }));
  const cpuOf = ({ cpuUs, rows }: FromDecode) => cpuUs / rows;
  const cpuReference = { name: 'zongji', value: cpuOf(peer) };
  add(figure({ name: `decode.${set.name}.cpu`, value: cpuOf(best), unit: 'µs/change', reference: cpuReference, isRight: isSame }));
}

/** Runs one reader in a process of its own. */
const runDecode = (task: DecodeTask): Promise<FromDecode> =>
  inChild(new URL('decode-process.ts', import.meta.url), `the reader ${task.reader}`, task);
