/** What is said of the page, the browser and the device with every event. */

export const LIBRARY = { name: 'millrace-collector', version: '1.0.0' };

/** The page of now. `referrer` is the address before, also inside a page that navigates by itself. */
export function pageOf(url: string, referrer: string): Record<string, string> {
  const { pathname, search } = new URL(url);
  return { url, path: pathname, search, title: document.title, referrer };
}

export function surroundings(): Record<string, unknown> {
  const { userAgent, language } = navigator;
  return {
    library: LIBRARY,
    userAgent,
    locale: language,
    timezone: Intl.DateTimeFormat().resolvedOptions().timeZone,
    screen: { width: screen.width, height: screen.height, density: devicePixelRatio },
    device: device(userAgent),
  };
}

/** The type of the device as far as a browser tells. */
export function device(userAgent: string): Record<string, string> {
  const tablet = /iPad|Tablet|Android(?!.*Mobile)/.test(userAgent);
  const mobile = /Mobi|iPhone|iPod/.test(userAgent);
  const found: Record<string, string> = { type: tablet ? 'tablet' : mobile ? 'mobile' : 'desktop' };
  const apple = /iPad|iPhone|iPod/.exec(userAgent)?.[0] ?? (/Macintosh/.test(userAgent) ? 'Macintosh' : '');
  const model = /Android [\d.]+; ([^;)]+)/.exec(userAgent)?.[1];
  if (apple) Object.assign(found, { manufacturer: 'Apple', model: apple });
  else if (model && model !== 'K') found.model = model.replace(/ Build\/.*/, '');
  return found;
}
