import type { ChildProcess } from 'node:child_process'
import { answerChild, askParent } from '../ask-parent.ts'
import type { OwnServer } from './own-server.ts'

interface Question {
  readonly address: string
  readonly work: 'stop' | 'bringBack'
}

/** A memcached of the process that started this one, which does the work. */
export class Remote implements OwnServer {
  readonly address: string

  constructor(address: string) {
    this.address = address
  }

  async stop(): Promise<void> {
    await askParent<Question>({ address: this.address, work: 'stop' })
  }

  async bringBack(): Promise<void> {
    await askParent<Question>({ address: this.address, work: 'bringBack' })
  }
}

/** Does for a child process what its `Remote`s ask. */
export function answerRemotes(child: ChildProcess, own: readonly OwnServer[]): void {
  answerChild<Partial<Question>>(
    child,
    ({ address, work }) => work && own.find(one => one.address === address)?.[work](),
  )
}
