import type { ChildProcess } from 'node:child_process'
import type { OwnServer } from './own-server.ts'

type Work = 'stop' | 'bringBack'

interface Request {
  readonly id: number
  readonly address: string
  readonly work: Work
}

interface Answer {
  readonly id: number
  readonly problem?: string
}

let requests = 0

/** A memcached of the process that started this one, which does the work. */
export class Remote implements OwnServer {
  readonly address: string

  constructor(address: string) {
    this.address = address
  }

  stop(): Promise<void> {
    return this.#ask('stop')
  }

  bringBack(): Promise<void> {
    return this.#ask('bringBack')
  }

  #ask(work: Work): Promise<void> {
    const id = ++requests
    return new Promise((resolve, reject) => {
      const onAnswer = (answer: Answer): void => {
        if (answer.id !== id) return
        process.off('message', onAnswer)
        if (answer.problem === undefined) resolve()
        else reject(new Error(answer.problem))
      }
      process.on('message', onAnswer)
      process.send?.({ id, address: this.address, work } satisfies Request)
    })
  }
}

/** Does for a child process what its `Remote`s ask. */
export function answerRemotes(child: ChildProcess, own: readonly OwnServer[]): void {
  child.on('message', async ({ id, address, work }: Partial<Request>) => {
    const server = own.find(one => one.address === address)
    if (id === undefined || work === undefined || server === undefined) return
    const answer = await server[work]().then(
      (): Answer => ({ id }),
      (error: Error): Answer => ({ id, problem: error.message }),
    )
    if (child.connected) child.send(answer)
  })
}
