/** Waits until the condition holds; one that throws (its server is down) does not hold. Rejects with `what` after the deadline. */
export async function until(
  condition: () => boolean | Promise<boolean>,
  deadlineMs: number,
  what: () => string | Promise<string>,
): Promise<void> {
  const deadline = Date.now() + deadlineMs;
  for (;;) {
    let failure: unknown;
    try {
      if (await condition()) return;
    } catch (error) {
      failure = error;
    }
    if (Date.now() > deadline) throw new Error(`not within ${deadlineMs / 1000} s: ${await what()}`, { cause: failure });
    await pause(50);
  }
}

/** For random moments and for outages of a length; never to wait for something that can be seen. */
export const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));
