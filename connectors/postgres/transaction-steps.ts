/** The statements around a batch, prepared once a connection. */
import type { Step } from './pipeline.ts';

export const savepoint: Step = { name: 'crossfade_savepoint', text: 'SAVEPOINT crossfade' };
export const release: Step = { name: 'crossfade_release', text: 'RELEASE SAVEPOINT crossfade' };
export const begin: Step = { name: 'crossfade_begin', text: 'BEGIN' };
export const commit: Step = { name: 'crossfade_commit', text: 'COMMIT' };
export const rollback: Step = { text: 'ROLLBACK' };
export const toSavepoint: Step = { text: 'ROLLBACK TO SAVEPOINT crossfade' };
