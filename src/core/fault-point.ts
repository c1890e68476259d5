import { channel } from 'node:diagnostics_channel';

/**
 * The named places where a test may throw, freeze or kill the process, always between "done" and "recorded" or back.
 * With no subscriber a publish costs one property read.
 */
export const faultPoints = [
  'capture:read',
  'capture:appended',
  'capture:completed',
  'log:before-commit',
  'log:after-commit',
  'apply:read',
  'apply:claimed',
  'apply:written',
  'sink:before-commit',
  'sink:after-commit',
] as const;
export type FaultPoint = (typeof faultPoints)[number];

const channels = new Map(faultPoints.map((name) => [name, channel(`crossfade:${name}`)]));

export function faultPoint(name: FaultPoint): void {
  const at = channels.get(name);
  if (at?.hasSubscribers) at.publish(name);
}
