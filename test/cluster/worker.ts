import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { programOf } from '../support/programs.ts'
import { until } from '../support/until.ts'
import type { Event, Order } from './traffic.child.ts'

const FILE: string = programOf(new URL('traffic.child.ts', import.meta.url))

export interface Report {
  readonly events: readonly Event[]
  readonly failures: readonly string[]
}

/** A process of its own under traffic. */
export class Worker {
  readonly #child: ChildProcess
  #changes = 0

  /** @param redis - the socket of a Redis that stands behind, if one does. */
  constructor(name: string, servers: readonly string[], sids: readonly string[], redis = '') {
    this.#child = fork(FILE, [name, servers.join(), sids.join(), redis])
    this.#child.on('message', message => {
      if (message === 'changed') this.#changes++
    })
  }

  async become(servers: readonly string[]): Promise<void> {
    const changes = this.#changes
    this.#tell(servers)
    await until(() => this.#changes > changes, 60_000)
  }

  async end(): Promise<Report> {
    const report = new Promise<Report>(resolve => {
      this.#child.on('message', message => {
        if (message !== 'changed') resolve(message as Report)
      })
    })
    const gone = once(this.#child, 'exit')
    this.#tell('over')
    await gone
    return report
  }

  #tell(order: Order): void {
    this.#child.send(order)
  }
}
