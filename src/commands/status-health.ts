/** Is the pipeline well? What a monitor may wake somebody for, in a few words each. */
import { isSilent, isTriedAgain } from '../runtime/health.ts';
import { secondsText } from './run-line.ts';
import { keptOf } from './status-kept.ts';
import type { Sample, ServiceSample } from './status-sample.ts';
import { waitsOf } from './status-waits.ts';

/** Partitions come to a TRUNCATE within moments of each other; one that does not in this time has stopped. */
const waitsTooLongSeconds = 30;

/** Empty when all is well. Lag is a reason only over the configured objective: without one, how much is too much only the reader knows. */
export function reasonsOf({ source, log, services }: Omit<Sample, 'healthy' | 'reasons'>): string[] {
  const reasons: string[] = [];
  if (source.error) reasons.push(`source: ${source.error.code}`);
  if (log.error) reasons.push(`log: ${log.error.code}`);
  else {
    if (log.room?.level === 'error') reasons.push(`log: ${log.room.code}`);
    if (log.leader === undefined) reasons.push('capture: nobody captures');
    else if (isSilent(log.leader)) reasons.push(`capture: ${log.leader.who} shows no sign of life`);
    if (log.trouble) reasons.push(`capture: ${log.trouble.code}`);
  }
  return [...reasons, ...services.flatMap(serviceReasons)];
}

function serviceReasons({
  name,
  error,
  members,
  trouble,
  kept = [],
  partitions,
  lagSeconds = 0,
  objectiveSeconds,
}: ServiceSample): string[] {
  const reasons: string[] = [];
  if (error) reasons.push(error.code);
  if (members?.length === 0)
    reasons.push(isTriedAgain(trouble) ? 'nobody applies now: it waits to try again, or has ended' : 'nobody applies');
  for (const member of members ?? []) if (isSilent(member)) reasons.push(`${member.who} shows no sign of life`);
  if (trouble) reasons.push(trouble.code);
  if (objectiveSeconds !== undefined && lagSeconds > objectiveSeconds)
    reasons.push(`lag ${secondsText(lagSeconds)} is over its objective of ${secondsText(objectiveSeconds)}`);
  for (const { seconds, text } of waitsOf(partitions)) if (seconds > waitsTooLongSeconds) reasons.push(text);
  for (const { isPoison, text } of keptOf(kept)) if (isPoison) reasons.push(text);
  for (const { doubt } of partitions) if (doubt) reasons.push(doubt.code);
  return [...new Set(reasons)].map((reason) => `service ${name}: ${reason}`);
}
