/** The entry of a service's thread: the same apply as in a process of its own, its log lines and totals posted to the parent. */
import { parentPort, workerData } from 'node:worker_threads';
import { loadConfig } from './config.ts';
import { asCrossfadeError } from './core/errors.ts';
import { invariant } from './core/assert.ts';
import { stopMessage, type ThreadFailure } from './runtime/daemon.ts';
import { type LogLevel, makeLogger, makeMeters, type Totals } from './runtime/observe.ts';
import { vitals } from './runtime/vitals.ts';
import { applyPart } from './wire.ts';

/** What the parent hands over; the configuration itself is read again here, for it holds more than a message can carry. */
export interface WorkerTask {
  readonly configPath: string;
  readonly service: string;
  readonly logLevel: LogLevel;
}

/** What a thread posts while it lives; its last word, if it fails, is a ThreadFailure. */
export type WorkerMessage = { readonly logLine: string } | { readonly totals: Totals };

const reportEveryMs = 500;

async function work(task: WorkerTask, post: (message: WorkerMessage) => void, signal: AbortSignal): Promise<void> {
  const config = loadConfig(task.configPath);
  const service = config.services.find(({ name }) => name === task.service);
  invariant(service !== undefined, 'the thread was started for a service of the configuration');
  const logger = makeLogger({
    level: task.logLevel,
    format: 'json',
    write: (logLine) => post({ logLine }),
    bindings: { pipeline: config.pipeline },
  });
  const observed = makeMeters();
  const report = () => {
    observed.totals.threads[`apply ${service.name}`] = vitals();
    post({ totals: observed.totals });
  };
  const state = {
    state: (...told: Parameters<typeof observed.state.state>) => {
      observed.state.state(...told);
      report();
    },
  };
  const reporting = setInterval(report, reportEveryMs);
  try {
    await applyPart(config, service, observed.apply(service.name), { logger, state }).run(signal);
  } finally {
    clearInterval(reporting);
    report();
  }
}

function failureOf(thrown: unknown): ThreadFailure {
  const { code, fault, message, remedy } = asCrossfadeError(thrown);
  return { failure: { code, fault, message, remedy } };
}

const port = parentPort;
invariant(port !== null, 'this file is the entry of a thread');
const stop = new AbortController();
port.on('message', (message) => {
  if (message === stopMessage) stop.abort();
});
try {
  await work(workerData as WorkerTask, (message) => port.postMessage(message), stop.signal);
} catch (thrown) {
  // The loop has decided already what is noise of a stop.
  port.postMessage(failureOf(thrown));
} finally {
  port.close();
}
