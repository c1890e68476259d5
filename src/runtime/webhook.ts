/** One alert to one webhook, and what came of it. Nothing here repeats the address: its path, or its user, is a password. */
import { CrossfadeError } from '../core/errors.ts';

/** What a request needs beyond its body. */
interface Address {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
}

/** User and password go into a header: `fetch` takes no address that has them. */
function addressOf(text: string): Address {
  const url = new URL(text);
  const credentials = `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`;
  url.username = '';
  url.password = '';
  const basic = `Basic ${Buffer.from(credentials, 'utf8').toString('base64')}`;
  return { url: url.href, headers: credentials === ':' ? {} : { authorization: basic } };
}

/** Answers the status. A redirect would carry the alert to who knows where; the answer's body is nobody's business. */
export async function postJson(text: string, body: string, signal: AbortSignal): Promise<number> {
  const { url, headers } = addressOf(text);
  const all = { ...headers, 'content-type': 'application/json', 'user-agent': 'crossfade' };
  const answer = await fetch(url, { method: 'POST', headers: all, body, signal, redirect: 'manual' });
  await answer.body?.cancel();
  return answer.status;
}

/** Why there was no answer, in words that hold nothing of the address; so the error itself is not passed on. */
export function whyUnanswered(thrown: unknown): string {
  if (thrown instanceof DOMException && /^(TimeoutError|AbortError)$/.test(thrown.name)) return 'it did not answer in time';
  const code = codeOf(thrown) ?? (thrown instanceof Error ? codeOf(thrown.cause) : undefined);
  // Without a code of the network, no request ever left.
  return code === undefined ? 'it could not be sent' : `it did not answer (${code})`;
}

function codeOf(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined;
  return typeof error.code === 'string' && /^[A-Z][A-Z0-9_]*$/.test(error.code) ? error.code : undefined;
}

export function undelivered(what: string): CrossfadeError {
  return new CrossfadeError({
    code: 'ALERT_UNDELIVERED',
    fault: 'retry',
    message: `the webhook for alerts did not take one: ${what}`,
    remedy:
      'Look whether "alert" under "lag" names the right address and whether it can be reached from here. It is tried again for an hour.',
  });
}
