// What is asked for again and again while it is looked at.

// Calls a task until the signal ends it. The task answers after how many milliseconds it is due again; nothing: never.
export async function repeat(task, signal) {
  while (!signal.aborted) {
    let pause;
    try {
      pause = await task();
    } catch (error) {
      if (error.name === 'AbortError') {
        return;
      }
      pause = 5000;
    }
    if (!pause) {
      return;
    }
    await rest(pause, signal);
    await visible(signal);
  }
}

export function rest(milliseconds, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds);
    signal.addEventListener(
      'abort',
      () => {
        clearTimeout(timer);
        resolve();
      },
      {once: true},
    );
  });
}

function visible(signal) {
  return new Promise((resolve) => {
    if (!document.hidden) {
      resolve();
      return;
    }
    document.addEventListener('visibilitychange', resolve, {once: true, signal});
    signal.addEventListener('abort', resolve, {once: true});
  });
}
