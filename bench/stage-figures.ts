/** Capture alone into a new log, apply alone from that log, and the whole way at once. */
import { meterBackends } from './backend-meter.ts';
import { type AddFigure, adder, addMemory, type Bench, configFor, isProven } from './bench.ts';
import { benchService } from './config-file.ts';
import { changesOf, recordsOf, rowsOf } from './data-set.ts';
import { runEndToEnd } from './end-to-end.ts';
import { applyFloor, captureFloor, endToEndFloor, floorBy } from './floors.ts';
import type { Loaded } from './load.ts';
import { binlogTransport, copyAndUpsert, type Reference } from './peers.ts';
import type { FigureName, LogKind } from './plan.ts';
import { type FromStage, runStage } from './stage.ts';
import { emptyTarget } from './target.ts';

const nameOf = (log: LogKind, figures: 'capture' | 'apply' | 'end-to-end', set: 'bulk' | 'oltp'): FigureName =>
  `${log === 'kafka' ? 'kafka-' : ''}${figures}-${set}`;

export async function logFigures(bench: Bench, loaded: Loaded, log: LogKind): Promise<void> {
  const { set } = loaded;
  const wants = (figures: 'capture' | 'apply' | 'end-to-end') => bench.only.includes(nameOf(log, figures, set.name));
  const begin = (figures: 'capture' | 'apply' | 'end-to-end') => bench.ahead.begin(nameOf(log, figures, set.name));
  if (wants('capture') || wants('apply')) {
    using config = configFor(bench, loaded, log, `stage_${set.name}`);
    const task = { configPath: config.configPath, records: recordsOf(set), deadlineSeconds: 240 };
    begin('capture');
    const captured = await bench.say.during(`capture → ${log} log, ${set.name}`, () => runStage({ ...task, part: 'capture' }));
    if (wants('capture')) await captureFigures(bench, loaded, log, captured);
    begin('apply');
    if (wants('apply')) await applyFigures(bench, loaded, log, () => runStage({ ...task, part: 'apply', service: benchService }));
  }
  begin('end-to-end');
  if (wants('end-to-end')) await endToEndFigures(bench, loaded, log);
}

/** The transport's own speed is asked right behind it, so that both meet the same machine. */
async function captureFigures(bench: Bench, loaded: Loaded, log: LogKind, captured: FromStage): Promise<void> {
  const { set } = loaded;
  const reference = await transport(bench, loaded);
  const floor = floorBy(reference, (here) => captureFloor(log, set.name, here));
  addStage(adder(bench, `mysql_to_${log}.${set.name}`), captured, changesOf(set), { reference, floor });
}

async function applyFigures(bench: Bench, loaded: Loaded, log: LogKind, apply: () => Promise<FromStage>): Promise<void> {
  const { set } = loaded;
  await emptyTarget(bench.client, set.table);
  const work = () => bench.say.during(`${log} log → Postgres, ${set.name}`, apply);
  const { answer: applied, cpuUs } = await meterBackends(bench.postgresUrl, 'crossfade %', work);
  const isRight = await isProven(bench, loaded);
  const peer = await upsert(bench, loaded);
  const add = adder(bench, `${log}_to_postgres.${set.name}`);
  const floor = floorBy(peer, (here) => applyFloor(set.name, here));
  addStage(add, applied, changesOf(set), { reference: peer, isRight, floor });
  // The reference has one statement a row of the end state, so only without updates and deletes are the two the same work.
  const reference = peer?.cpuUs === undefined ? undefined : { name: peer.name, value: peer.cpuUs };
  add('target_cpu', cpuUs / changesOf(set), 'µs/change', { reference });
}

function addStage(add: AddFigure, stage: FromStage, changes: number, more: Parameters<AddFigure>[3]): void {
  add('rate', changes / stage.seconds, 'changes/s', more);
  add('cpu', stage.cpuUs / changes, 'µs/change');
  addMemory(add, stage.rssMb);
}

async function endToEndFigures(bench: Bench, loaded: Loaded, log: LogKind): Promise<void> {
  const { set } = loaded;
  const { client, stack, kafka, postgresUrl, say } = bench;
  using config = configFor(bench, loaded, log, `all_${set.name}`);
  await emptyTarget(client, set.table);
  const backlog = { folder: config.folder, client, set, source: stack.servers.mysql };
  const broker = log === 'kafka' ? kafka?.servers.kafka : undefined;
  const work = () => say.during(`MySQL → ${log} log → Postgres, ${set.name}`, () => runEndToEnd({ ...backlog, broker }));
  const { answer: result, cpuUs: targetCpuUs } = await meterBackends(postgresUrl, 'crossfade %', work);
  const isRight = await isProven(bench, loaded);
  const reference = await upsert(bench, loaded);
  const add = adder(bench, `end_to_end_${log}.${set.name}`);
  const floor = floorBy(reference, (here) => endToEndFloor(log, set.name, here));
  add('rate', result.changesPerSecond, 'changes/s', { reference, isRight, floor });
  const { crossfade, source, broker: brokers } = result.cpuUs;
  add('cpu', crossfade, 'µs/change');
  const servers = { source, target: targetCpuUs / changesOf(set), broker: brokers };
  for (const [name, us] of Object.entries(servers)) if (us > 0) add(`${name}_cpu`, us, 'µs/change');
  addMemory(add, result.rssMb);
  add('first_row', result.firstRowSeconds, 's');
}

async function transport({ stack, say }: Bench, loaded: Loaded): Promise<Reference | undefined> {
  // Twice: the first finds the files cold, and the better of a peer's runs is the one to compare with.
  const runs = [];
  for (let n = 0; n < 2; n += 1)
    runs.push(await say.during('reference: mysqlbinlog --raw', () => binlogTransport(stack.servers.mysql, loaded)));
  return runs.reduce((a, b) => (b && (!a || b.value > a.value) ? b : a), undefined);
}

/** From the rows that our own run left there. It has one statement a row of the end state, we have one a change. */
async function upsert({ stack, postgresUrl, say, upserts }: Bench, { set }: Loaded): Promise<Reference | undefined> {
  const reference = await say.during('reference: psql COPY + upsert', () =>
    copyAndUpsert(stack.servers.postgres, postgresUrl, { table: set.table, rows: rowsOf(set) }),
  );
  if (reference) upserts.fastest = Math.max(upserts.fastest ?? 0, reference.value);
  return reference;
}
