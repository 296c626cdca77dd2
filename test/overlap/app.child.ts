/** A scripted app as a process of its own: gets its options as an argument, talks to its parent by messages. */
import { Gate, ScriptedApp } from './scripted-app.ts'

const tell = (message: object): void => {
  process.send?.(message)
}

const app = await ScriptedApp.start(
  JSON.parse(process.argv[2] as string),
  new Gate(waiting => tell({ waiting })),
)
process.on('message', () => app.open())
process.on('disconnect', () => process.exit())
tell({ url: app.url })
