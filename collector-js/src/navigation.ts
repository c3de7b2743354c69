/** Tells of every page that a site shows without loading it: `pushState`, `replaceState`, back. */

export function onNavigation(changed: (url: string, before: string) => void): void {
  let shown = address();
  const look = () => {
    const now = address();
    if (now === shown) return;
    const before = shown;
    shown = now;
    changed(now, before);
  };
  for (const name of ['pushState', 'replaceState'] as const) {
    const original = history[name];
    try {
      history[name] = function (this: History, ...args: Parameters<History['pushState']>) {
        original.apply(this, args);
        look();
      };
    } catch {
      // The page has frozen it: back and forward are still heard.
    }
  }
  addEventListener('popstate', look);
}

/** The address without its place in the page, unless a router keeps its paths there. */
function address(): string {
  return location.href.replace(/#(?![!/]).*$/, '');
}
