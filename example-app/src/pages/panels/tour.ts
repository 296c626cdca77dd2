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

/** What is to be seen when memcached is stopped: that it is told, or with a durable store that nothing is lost. */
export type Trouble = 'shown' | 'survived'

const TROUBLE: Record<Trouble, Step> = {
  shown: {
    title: 'It never hangs',
    text: 'Stop memcached: the page says so, waits, and goes on.',
    anchor: 'servers-title',
  },
  survived: {
    title: 'It survives',
    text: 'Stop all of memcached, go on working, bring it back: nothing is lost.',
    anchor: 'servers-title',
  },
}

interface Model {
  readonly withLinks: boolean
  /** Undefined where memcached cannot be stopped from here. */
  readonly trouble: Trouble | undefined
}

/** What there is to try, in a minute. Before sign-in the panels are not there to go to. */
export function tour({ withLinks, trouble }: Model): Html {
  const steps = trouble === undefined ? STEPS : [...STEPS, TROUBLE[trouble]]
  return html`
    <ol class="tour">
      ${steps.map(
        ({ title, text, anchor }) => html`
          <li><strong>${withLinks ? html`<a href="#${anchor}">${title}</a>` : title}</strong> <span>${text}</span></li>`,
      )}
    </ol>`
}
