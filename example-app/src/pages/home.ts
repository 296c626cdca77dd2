import type { Health } from '../memcached/health.ts'
import { colourName, type SignedIn } from '../session/data.ts'
import type { Place } from '../session/place.ts'
import { type Html, html } from './html.ts'
import { layout } from './layout.ts'
import { outageNotice } from './outage.ts'
import { placePanel } from './panels/place.ts'
import { serversPanel } from './panels/servers.ts'
import { type Draft, valuesPanel } from './panels/values.ts'

/** All that the first page of somebody who is signed in shows. */
export interface View {
  readonly session: SignedIn
  /** This browser's id. */
  readonly browser: string | undefined
  readonly place: Place
  readonly servers: readonly Health[]
  readonly draft?: Draft | undefined
  readonly editing?: string | undefined
}

export function homePage(view: View): Html {
  const browser = view.session.browsers[view.browser ?? '']
  return layout({
    title: `${view.session.user}’s session`,
    account: html`
      <span class="who"><span class="dot" data-colour="${browser?.colour}"></span>
        <strong>${view.session.user}</strong> in ${colourName(browser)}</span>
      <form method="post" action="/sign-out"><button>Sign out</button></form>`,
    body: html`
      ${outageNotice(undefined)}
      <div class="columns">
        ${valuesPanel(view)}
        ${placePanel(view.place)}
      </div>
      ${serversPanel(view.servers)}`,
  })
}
