/** From what ioredis and Redis say to ours. Their messages can hold keys and arguments: only the error's kind is told on. */
import { CrossfadeError, type ErrorCode, type Fault } from '../../src/core/errors.ts';

type Verdict = readonly [code: ErrorCode, fault: Fault, message: string, remedy: string];

const comesBack = 'Nothing to do if it comes back: the service reconnects and goes on where Redis says it was.';
const wait = (what: string): Verdict => ['TARGET_UNREACHABLE', 'retry', what, comesBack];
const credentials: Verdict = [
  'TARGET_AUTH',
  'fatal',
  'Redis refused the user name or password',
  'Correct user and password of this service in the configuration, or the user in Redis: ACL SETUSER <user> on ><password>.',
];

const noPermission: Verdict = [
  'TARGET_PRIVILEGE',
  'fatal',
  'the Redis user may not run a command or touch a key that this service needs',
  'Run crossfade check: it prints the ACL SETUSER statement.',
];

/** By the first word of the server's reply. */
const replies: Readonly<Record<string, Verdict>> = {
  NOAUTH: credentials,
  WRONGPASS: credentials,
  NOPERM: noPermission,
  OOM: [
    'TARGET_FULL',
    'retry',
    'Redis has reached its maxmemory and takes no writes',
    'Raise it (CONFIG SET maxmemory <bytes>) or remove keys; the service goes on by itself, nothing is lost.',
  ],
  MISCONF: [
    'TARGET_FULL',
    'retry',
    'Redis cannot save to its disk and takes no writes',
    'Look into the log of Redis: its disk is full or not writable. The service goes on by itself when it can save again.',
  ],
  LOADING: wait('Redis is still loading its data'),
  READONLY: wait('this Redis is a replica and takes no writes'),
  MASTERDOWN: wait('this Redis is a replica that has lost its primary'),
  CLUSTERDOWN: wait('the Redis cluster is down'),
  TRYAGAIN: wait('the Redis cluster is moving these keys'),
  NOREPLICAS: wait('Redis has fewer good replicas than min-replicas-to-write demands'),
  BUSY: wait('Redis is busy with a script of somebody else'),
  UNBLOCKED: wait('this Redis has become a replica'),
};

const networkCodes = new Set(
  'ECONNREFUSED ECONNRESET ECONNABORTED EPIPE ETIMEDOUT EHOSTUNREACH ENETUNREACH ENETDOWN EHOSTDOWN ENOTFOUND EAI_AGAIN ENOENT EACCES'.split(
    ' ',
  ),
);
/** Plain errors of ioredis 6.0.0 that mean that the answer will not come. */
const lost =
  /^(Connection is closed|Command timed out|connect ETIMEDOUT|Connection is in closing state|Stream isn't writeable|Socket timeout)/;

function codeOf(thrown: unknown): string | undefined {
  const code: unknown = thrown instanceof Error && 'code' in thrown ? thrown.code : undefined;
  return typeof code === 'string' ? code : undefined;
}

/** The one way from a driver's error to ours. What it does not know is fatal. */
export function redisError(thrown: unknown, doing: string): CrossfadeError {
  if (thrown instanceof CrossfadeError) return thrown;
  const [code, fault, message, remedy] = verdict(thrown);
  // The cause keeps the stack but not the driver's `command`, which holds the arguments: the rows.
  const cause = thrown instanceof Error ? new Error(kindOf(thrown)) : undefined;
  return new CrossfadeError({ code, fault, message: `${doing}: ${message}`, remedy, cause });
}

function verdict(thrown: unknown): Verdict {
  const text = thrown instanceof Error ? thrown.message : '';
  const reply = replies[/^[A-Z]+/.exec(text)?.[0] ?? ''] ?? replies[/-([A-Z]+) /.exec(text)?.[1] ?? ''];
  if (reply) return reply;
  // How a script words NOPERM, before and since Redis 7.
  if (/ACL failure in script|user executing the script can't/.test(text)) return noPermission;
  const code = codeOf(thrown);
  if (code !== undefined && networkCodes.has(code)) return wait(`Redis cannot be reached (${code})`);
  if (lost.test(text)) return wait(text.startsWith('Command') ? 'Redis did not answer in time' : 'the connection to Redis was lost');
  if (/max retries per request|AbortError|Connection is closed/i.test(`${kindOf(thrown)} ${text}`))
    return wait('the connection to Redis was lost');
  if (code?.startsWith('ERR_TLS') || /certificate|self-signed|CERT_|wrong version number/i.test(`${code} ${text}`)) {
    return [
      'TARGET_AUTH',
      'fatal',
      'the TLS connection to Redis was refused',
      'Correct tls of this service: its ca, or the host name that the certificate names.',
    ];
  }
  if (/DB index|invalid DB/i.test(text)) {
    return [
      'TARGET_SETTING',
      'fatal',
      'Redis has no database of this number',
      'Correct the number of the database, or raise databases in redis.conf.',
    ];
  }
  return [
    'TARGET_FAILED',
    'fatal',
    `Redis answered with an error that is not foreseen (${kindOf(thrown)})`,
    'Nothing was acknowledged. Look into the log of Redis, mend the cause and start again.',
  ];
}

/** Of a TARGET_PRIVILEGE: whether it was a key that the user may not touch, and not a command. */
export function refusedKey(thrown: unknown): boolean {
  return thrown instanceof Error && /access/.test(thrown.message);
}

/** `ReplyError ERR`: name and first word, nothing that could be a key or a value. */
function kindOf(thrown: unknown): string {
  if (!(thrown instanceof Error)) return typeof thrown;
  const word = thrown.name === 'ReplyError' ? (/^[A-Z]+/.exec(thrown.message)?.[0] ?? '') : (codeOf(thrown) ?? '');
  return `${thrown.name} ${word}`.trimEnd();
}
