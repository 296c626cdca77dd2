/** A locking app as a process of its own: gets its options as an argument, tells its parent where it is. */
import { LockingApp } from './locking-app.ts'

const app = await LockingApp.start(JSON.parse(process.argv[2] as string))
process.on('disconnect', () => process.exit())
process.send?.(app.url)
