/** The entry of the thread that appends to the embedded log. */
import { parentPort, workerData } from 'node:worker_threads';
import { type AppendTask, serveAppends } from '../connectors/sqlite/append-service.ts';
import { codec } from './codec.ts';
import { invariant } from './core/assert.ts';

const port = parentPort;
invariant(port !== null, 'this file is the entry of a thread');
await serveAppends(port, workerData as AppendTask, codec);
