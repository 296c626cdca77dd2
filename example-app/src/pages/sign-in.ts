import type { Outage } from '../memcached/health.ts'
import type { Outcome } from '../overlap/proof.ts'
import { type Html, html } from './html.ts'
import { layout } from './layout.ts'
import { bringBack } from './outage.ts'
import { overlapPanel } from './panels/overlap.ts'
import { tour } from './panels/tour.ts'

interface Model {
  readonly name?: string
  readonly problem?: string
  /** Something about the visit before. */
  readonly notice?: string | undefined
  /** Why nobody could sign in just now. */
  readonly outage?: Outage
  readonly overlap?: Outcome | undefined
  /** Somebody has just come: the overlap test runs by itself. */
  readonly isNew?: boolean
  /** A durable store is behind memcached. */
  readonly isBacked?: boolean
}

/** The first thing that a new visitor sees: the proof, and then the way in. */
export function signInPage(model: Model): Html {
  const { name, problem, notice, outage, overlap, isNew = false, isBacked = false } = model
  return layout({
    title: 'Sign in',
    body: html`
      <div class="welcome">
        ${notice !== undefined && html`<p class="notice" role="status">${notice}</p>`}
        <h1>50 requests at once. None lost.</h1>
        <p class="lead">Sessions for Express, in memcached. When requests of one visitor overlap, an ordinary store keeps
          the last one and drops the rest. This one keeps them all.</p>
      </div>
      ${overlapPanel({ outcome: overlap, runs: isNew, isPrimary: false })}
      <section class="panel enter" aria-labelledby="enter-title">
        <div>
          <h2 id="enter-title">Try it with a session of your own</h2>
          <p class="hint">No password: this is a demonstration, and a name is all it asks for. Signed in on another browser already?
            <a href="/join">Join its session with a code.</a></p>
        </div>
        <form class="sign-in" method="post" action="/sign-in">
          <div class="field grow">
            <label for="name">What shall we call you?</label>
            <input id="name" name="name" value="${name}" required maxlength="40" autocomplete="nickname"
              ${problem !== undefined && html`autofocus aria-invalid="true" aria-describedby="name-problem"`}>
          </div>
          <button class="primary">Sign in</button>
          ${problem !== undefined && html`<p class="problem" id="name-problem" role="alert">${problem}</p>`}
        </form>
        ${outage !== undefined && bringBack(outage)}
      </section>
      <h2 class="tour-title">What you will have seen in a minute</h2>
      ${tour({ withLinks: false, trouble: isBacked ? 'survived' : 'shown' })}`,
  })
}
