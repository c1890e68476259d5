/** What only a consumer group can run into. */
import { CrossfadeError } from '../../src/core/errors.ts';

export function foreignGroup(group: string): CrossfadeError {
  return new CrossfadeError({
    code: 'LOG_SETTING',
    fault: 'fatal',
    message: `the consumer group ${group} is in use by another program, or by another release of this one`,
    remedy: `See who reads with it (kafka-consumer-groups --describe --members --group ${group}), stop it, then start again.`,
  });
}

export function sessionRefused(group: string, sessionMs: number): CrossfadeError {
  return new CrossfadeError({
    code: 'LOG_SETTING',
    fault: 'fatal',
    message: `the brokers refuse a session of ${sessionMs} ms in the consumer group ${group}`,
    remedy: 'Let group.min.session.timeout.ms of the brokers be 6000 or less and group.max.session.timeout.ms 30000 or more.',
  });
}
