import { type Html, html } from '../html.ts'

interface Step {
  readonly title: string
  readonly text: string
  /** The panel to do it in. */
  readonly anchor: string
}

const STEPS: readonly Step[] = [
  { title: 'It stays', text: 'Put something in, close the browser, and open it again.', anchor: 'dict' },
  {
    title: 'It is shared',
    text: 'Open it on a phone or in a private window: both change it, live.',
    anchor: 'share-title',
  },
]

const TROUBLE: Step = {
  title: 'It never hangs',
  text: 'Stop memcached: the page says so, waits, and goes on.',
  anchor: 'servers-title',
}

/** What there is to try, in a minute. Before sign-in the panels are not there to go to. */
export function tour({ withLinks, withTrouble }: { withLinks: boolean; withTrouble: boolean }): Html {
  const steps = withTrouble ? [...STEPS, TROUBLE] : STEPS
  return html`
    <ol class="tour">
      ${steps.map(
        ({ title, text, anchor }) => html`
          <li><strong>${withLinks ? html`<a href="#${anchor}">${title}</a>` : title}</strong> <span>${text}</span></li>`,
      )}
    </ol>`
}
