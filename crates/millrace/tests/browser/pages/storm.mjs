// The events of the pages of `browser_stress.rs`: `step-NUMBER`, each with its properties.

export function* storm() {
  const { events, large } = window.job;
  for (let number = 0; number < events; number++) {
    yield [`step-${number}`, { number, parts: parts(number === events >> 1 ? large : 0) }];
  }
}

/** So many bytes, in texts that no SDK shortens. */
function parts(bytes) {
  return Object.fromEntries(Array.from({ length: bytes / 100 }, (_, place) => [`p${place}`, 'x'.repeat(95)]));
}
