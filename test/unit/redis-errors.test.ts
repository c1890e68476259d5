import { ReplyError } from 'ioredis';
import { expect, test } from 'vitest';

import { redisError } from '../../connectors/redis/errors.ts';
import { CrossfadeError } from '../../src/core/errors.ts';

const reply = (message: string) => Object.assign(new ReplyError(message), { command: { name: 'evalsha', args: ['secret'] } });
const network = (code: string) => Object.assign(new Error(`connect ${code} 10.0.0.1:6379`), { code });

test.each([
  [reply('LOADING Redis is loading the dataset in memory'), 'TARGET_UNREACHABLE', 'retry'],
  [reply("READONLY You can't write against a read only replica."), 'TARGET_UNREACHABLE', 'retry'],
  [reply('MASTERDOWN Link with MASTER is down'), 'TARGET_UNREACHABLE', 'retry'],
  [reply('CLUSTERDOWN The cluster is down'), 'TARGET_UNREACHABLE', 'retry'],
  [reply('TRYAGAIN Multiple keys request during rehashing of slot'), 'TARGET_UNREACHABLE', 'retry'],
  [reply("OOM command not allowed when used memory > 'maxmemory'. script: abc, on @user_script:1."), 'TARGET_FULL', 'retry'],
  [
    reply("ERR Error running script (call to f_1): @user_script:1: -OOM command not allowed when used memory > 'maxmemory'."),
    'TARGET_FULL',
    'retry',
  ],
  [reply('NOAUTH Authentication required.'), 'TARGET_AUTH', 'fatal'],
  [reply('WRONGPASS invalid username-password pair or user is disabled.'), 'TARGET_AUTH', 'fatal'],
  [reply("NOPERM this user has no permissions to run the 'hset' command"), 'TARGET_PRIVILEGE', 'fatal'],
  [reply("ERR ACL failure in script: User ada has no permissions to run the 'hset' command"), 'TARGET_PRIVILEGE', 'fatal'],
  [reply('ERR DB index is out of range'), 'TARGET_SETTING', 'fatal'],
  [reply('WRONGTYPE Operation against a key holding the wrong kind of value'), 'TARGET_FAILED', 'fatal'],
  [reply('ERR something about secret'), 'TARGET_FAILED', 'fatal'],
  [network('ECONNREFUSED'), 'TARGET_UNREACHABLE', 'retry'],
  [network('ENOTFOUND'), 'TARGET_UNREACHABLE', 'retry'],
  [new Error('Connection is closed.'), 'TARGET_UNREACHABLE', 'retry'],
  [new Error('Command timed out'), 'TARGET_UNREACHABLE', 'retry'],
  [new Error("Stream isn't writeable and enableOfflineQueue options is false"), 'TARGET_UNREACHABLE', 'retry'],
  [Object.assign(new Error('self-signed certificate'), { code: 'DEPTH_ZERO_SELF_SIGNED_CERT' }), 'TARGET_AUTH', 'fatal'],
  [new TypeError('secret is not a function'), 'TARGET_FAILED', 'fatal'],
  ['secret', 'TARGET_FAILED', 'fatal'],
])('%s', (thrown, code, fault) => {
  const error = redisError(thrown, 'writing');
  expect({ code: error.code, fault: error.fault }).toEqual({ code, fault });
  expect(`${error.message} ${error.remedy} ${String(error.cause)} ${JSON.stringify(error.cause)}`).not.toContain('secret');
});

test('what is already ours stays as it is', () => {
  const error = new CrossfadeError({ code: 'TARGET_FENCED', fault: 'retry', message: 'm', remedy: 'r' });
  expect(redisError(error, 'writing')).toBe(error);
});
