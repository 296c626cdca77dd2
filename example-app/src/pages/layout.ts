import { type Html, html } from './html.ts'

interface Page {
  readonly title: string
  /** Who is signed in, at the top. */
  readonly account?: Html
  readonly body: Html
  /** More for the `head`. */
  readonly head?: Html
}

/** The frame of every page. */
export function layout({ title, account, body, head }: Page): Html {
  return html`<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <meta name="color-scheme" content="light dark">
  ${head}
  <title>${title} · express-session-memcached</title>
  <link rel="icon" href="/assets/icon.svg" type="image/svg+xml">
  <link rel="stylesheet" href="/assets/style.css">
  <link rel="stylesheet" href="/assets/hero.css">
  <link rel="stylesheet" href="/assets/session.css">
  <link rel="stylesheet" href="/assets/place.css">
  <script type="module" src="/assets/page.js"></script>
  <script type="module" src="/assets/live.js"></script>
  <script type="module" src="/assets/join-code.js"></script>
</head>
<body>
  <a class="skip" href="#main">Skip to the content</a>
  <header class="top">
    <a class="brand" href="/"><img src="/assets/icon.svg" alt="" width="28" height="28"> express-session-memcached</a>
    <div class="account">${account}</div>
  </header>
  <main id="main" tabindex="-1">
    <div id="said" role="status"></div>
${body}
  </main>
  <footer class="bottom">
    <p>This is the example app of <code>express-session-memcached</code>: an express-session store that loses no update, undoes no logout and never hangs.</p>
  </footer>
</body>
</html>
`
}
