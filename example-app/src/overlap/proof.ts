import session, { type Store } from 'express-session'
import { type Progress, runContest, type Survivors } from './contest.ts'

/** What the two stores kept. */
export interface Outcome {
  readonly here: Survivors
  readonly ordinary: Survivors
}

/** How it goes on: of one side, first how far it is, then what it kept. */
export type Step = { readonly side: keyof Outcome } & (Progress | { readonly survivors: Survivors })

/** The overlap test on the store of the app and on an ordinary one, and its last outcome. */
export class Proof {
  readonly #store: Store
  #running: Promise<unknown> = Promise.resolve()
  #last: Outcome | undefined

  constructor(store: Store) {
    this.#store = store
  }

  /** Undefined before the first run. */
  get last(): Outcome | undefined {
    return this.#last
  }

  /** One at a time: it keeps the process busy. */
  run(tell: (step: Step) => void): Promise<Outcome> {
    const turn = this.#running.then(() => this.#runNow(tell))
    this.#running = turn.catch(() => {})
    return turn
  }

  async #runNow(tell: (step: Step) => void): Promise<Outcome> {
    const sides = { here: this.#store, ordinary: new session.MemoryStore() }
    const contest = async (side: keyof Outcome): Promise<Survivors> => {
      const survivors = await runContest(sides[side], progress => tell({ side, ...progress }))
      tell({ side, survivors })
      return survivors
    }
    this.#last = { here: await contest('here'), ordinary: await contest('ordinary') }
    return this.#last
  }
}
