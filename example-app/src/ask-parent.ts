/** What the app processes of the demo ask the process that started them. */
import type { ChildProcess } from 'node:child_process'

interface Request<Question> {
  readonly id: number
  readonly question: Question
}

interface Answer {
  readonly id: number
  readonly problem?: string
  readonly value?: unknown
}

type Settle = (answer: Answer) => void

const waiting = new Map<number, Settle>()
let requests = 0

/** Asks the process that started this one. @throws Error - with what the work there failed with. */
export function askParent<Question>(question: Question): Promise<unknown> {
  if (requests === 0) process.on('message', (answer: Answer) => waiting.get(answer.id)?.(answer))
  const id = ++requests
  return new Promise((resolve, reject) => {
    waiting.set(id, ({ problem, value }) => {
      waiting.delete(id)
      if (problem === undefined) resolve(value)
      else reject(new Error(problem))
    })
    process.send?.({ id, question } satisfies Request<Question>)
  })
}

/** Answers what a child process asks; `answer` gives undefined where a question is none of its own. */
export function answerChild<Question>(
  child: ChildProcess,
  answer: (question: Question) => Promise<unknown> | undefined,
): void {
  child.on('message', async ({ id, question }: Partial<Request<Question>>) => {
    const work = id === undefined || question === undefined ? undefined : answer(question)
    if (id === undefined || work === undefined) return
    const reply = await work.then(
      (value): Answer => ({ id, value }),
      (error: Error): Answer => ({ id, problem: error.message }),
    )
    if (child.connected) child.send(reply)
  })
}
