/** Runs a task again and again, the next only after the last, until disposed: signs of life, never business. */
export function beat(intervalMs: number, task: () => void): Disposable {
  let timer: NodeJS.Timeout | undefined;
  const next = () => {
    timer = setTimeout(() => {
      next();
      task();
    }, intervalMs);
    timer.unref();
  };
  next();
  return { [Symbol.dispose]: () => clearTimeout(timer) };
}
