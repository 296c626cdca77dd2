import type { UserSession } from 'express-session-memcached'
import { isCarried, type WholeHealth } from '../memcached/health.ts'
import type { Outcome } from '../overlap/proof.ts'
import type { SignedIn } from '../session/data.ts'
import type { Place } from '../session/place.ts'
import { type Html, html } from './html.ts'
import { layout } from './layout.ts'
import { outageNotice } from './outage.ts'
import { browsersPanel } from './panels/browsers.ts'
import { durablePanel } from './panels/durable.ts'
import { overlapPanel } from './panels/overlap.ts'
import { placePanel } from './panels/place.ts'
import { serversPanel } from './panels/servers.ts'
import { type Invitation, sharePanel } from './panels/share.ts'
import { type Trouble, tour } from './panels/tour.ts'
import { type Deleted, type Draft, valuesPanel } from './panels/values.ts'

/** All that the first page of somebody who is signed in shows. */
export interface View {
  readonly session: SignedIn
  readonly sid: string
  /** Of what is shown; live news start from it. */
  readonly revision: string
  /** This browser's id. */
  readonly browser: string | undefined
  readonly place: Place
  /** All sessions of this user, where the store can tell. */
  readonly logins: readonly UserSession[] | undefined
  readonly canInvite: boolean
  readonly invitation?: Invitation | undefined
  readonly health: WholeHealth
  /** Where sessions are kept, in words. */
  readonly description: string | undefined
  /** Of the last overlap test. */
  readonly overlap: Outcome | undefined
  readonly draft?: Draft | undefined
  readonly editing?: string | undefined
  readonly deleted?: Deleted | undefined
  /** Names of browsers whose sessions were just ended. */
  readonly signedOut?: readonly string[] | undefined
}

export function homePage(view: View): Html {
  const { place, health } = view
  const isCarrying = isCarried(health, place.holders)
  const browser = view.session.browsers[view.browser ?? '']
  return layout({
    title: `${view.session.user}’s session`,
    account: html`
      <span class="who"><span class="dot" data-colour="${browser?.colour}"></span>
        <strong>${view.session.user}</strong> <span class="on">${browser?.name}</span></span>
      <form method="post" action="/sign-out"><button>Sign out</button></form>`,
    body: html`
      <h1 class="title">${view.session.user}’s session</h1>
      ${outageNotice(undefined, isCarrying ? health : undefined)}
      <div class="panels" id="home" data-revision="${view.revision}">
        ${overlapPanel({ outcome: view.overlap, runs: view.overlap === undefined, isPrimary: true })}
        ${tour({ withLinks: true, trouble: troubleOf(health) })}
        ${valuesPanel(view)}
        <div class="pair">
          ${sharePanel(view)}
          ${browsersPanel(view)}
        </div>
        ${placePanel(place, isCarrying)}
        ${serversPanel({ ...health, holders: place.holders, description: view.description })}
        ${durablePanel(health.durable, isCarrying)}
      </div>`,
  })
}

/** What becomes of it when memcached is stopped, where it can be stopped. */
function troubleOf({ servers, durable }: WholeHealth): Trouble | undefined {
  if (!servers.some(({ own }) => own)) return undefined
  return durable === undefined ? 'shown' : 'survived'
}
