/** A look from outside waits for nobody for long: not for an answer, and not for a connection that does not even close. */
import { CrossfadeError, type ErrorCode } from '../core/errors.ts';

/** How long a server may take to answer before it counts as unreachable. */
const patienceMs = 5000;

/** Who is asked, and what it means when no answer comes. */
export interface Asked {
  readonly what: string;
  readonly code: Extract<ErrorCode, 'SOURCE_UNREACHABLE' | 'LOG_UNREACHABLE' | 'TARGET_UNREACHABLE'>;
}

/** Opens, asks, and closes behind the caller's back. Throws the code of `asked` where that takes too long. */
export async function askInTime<C extends AsyncDisposable, T>(asked: Asked, open: () => Promise<C>, ask: (connection: C) => Promise<T>) {
  return inTime(asked, async () => {
    const connection = await open();
    try {
      return await ask(connection);
    } finally {
      closeLater(connection);
    }
  });
}

/** What fails or hangs while it is closed has answered already. */
export function closeLater(connection: AsyncDisposable): void {
  connection[Symbol.asyncDispose]().then(undefined, () => {});
}

export async function inTime<T>({ what, code }: Asked, work: () => Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(notInTime(what, code)), patienceMs);
  });
  try {
    return await Promise.race([work(), late]);
  } finally {
    clearTimeout(timer);
  }
}

function notInTime(what: string, code: ErrorCode): CrossfadeError {
  return new CrossfadeError({
    code,
    fault: 'retry',
    message: `${what} did not answer within ${patienceMs / 1000} s`,
    remedy: 'Look whether it hangs, or whether something between here and there swallows the packets.',
  });
}
