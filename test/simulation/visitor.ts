import { EventEmitter } from 'node:events'
import type { Session, SessionData } from 'express-session'
import type { App, Middleware } from './app.ts'
import type { History, Section } from './history.ts'
import type { Step, Visit } from './plan.ts'
import { setLeaf } from './session.ts'
import type { VirtualTime } from './virtual-time.ts'

/** A browser: its cookie, which it sends for as long as it has no other. */
export interface Browser {
  cookie: string | undefined
}

interface Request {
  readonly url: string
  readonly headers: { readonly cookie?: string | undefined }
  sessionID?: string
  session?: Session & Partial<SessionData> & { user?: string | undefined }
  exclusive?: AbortSignal
}

/** What express-session, on-headers and `exclusive` use of a response. */
class Response extends EventEmitter {
  statusCode = 200
  headersSent = false
  writableEnded = false
  closed = false
  readonly #headers: Map<string, unknown> = new Map()

  get _header(): boolean {
    return this.headersSent
  }

  getHeader(name: string): unknown {
    return this.#headers.get(name.toLowerCase())
  }

  setHeader(name: string, value: unknown): void {
    this.#headers.set(name.toLowerCase(), value)
  }

  _implicitHeader(): void {
    this.writeHead(this.statusCode)
  }

  writeHead(status: number): this {
    this.statusCode = status
    this.headersSent = true
    return this
  }

  write(): boolean {
    return true
  }

  end(): this {
    if (!this.headersSent) this._implicitHeader()
    this.writableEnded = true
    process.nextTick(() => {
      this.closed = true
      this.emit('finish')
      this.emit('close')
    })
    return this
  }
}

export interface World {
  readonly time: VirtualTime
  readonly history: History
  readonly tell: ((text: string) => void) | undefined
  newLogin(): number
}

/** One request, from its first byte to the end of its response. It ends whatever happens to it. */
export async function visit(
  world: World,
  app: App,
  browser: Browser,
  { steps, goesOn, isExclusive }: Visit,
): Promise<void> {
  const req: Request = { url: '/', headers: browser.cookie === undefined ? {} : { cookie: browser.cookie } }
  const res = new Response()
  let section: Section | undefined
  const finished = new Promise<void>(resolve => {
    res.once('finish', () => {
      if (section !== undefined) section.leave = world.time.now
      resolve()
    })
  })
  try {
    await pass(app.session, req, res)
    if (isExclusive && req.session !== undefined) {
      const sid = req.sessionID as string
      const start = world.time.now
      try {
        await pass(app.exclusive, req, res)
      } catch (error) {
        world.history.refusals.push({ sid, start, end: world.time.now, error })
        throw error
      }
      section = enter(world, req, sid)
    }
    for (const step of steps) {
      try {
        world.tell?.(describe(step))
        await take(world, app, req, step)
      } catch (error) {
        world.tell?.(`failed: ${error}`)
        if (!goesOn) break
      }
    }
  } catch (error) {
    world.tell?.(`refused: ${error}`)
  }
  world.tell?.('ends its response')
  res.end()
  await finished
  const [cookie] = (res.getHeader('set-cookie') as string[] | undefined) ?? []
  if (cookie !== undefined) browser.cookie = cookie.slice(0, cookie.indexOf(';'))
}

function enter({ history, time }: World, { exclusive }: Request, sid: string): Section {
  const never = Number.POSITIVE_INFINITY
  const section: Section = { sid, process: 0, enter: time.now, leave: never, lostAt: never }
  history.sections.push(section)
  exclusive?.addEventListener('abort', () => {
    section.lostAt = time.now
  })
  return section
}

async function take(world: World, app: App, req: Request, step: Step): Promise<void> {
  if (step.do === 'pause') return world.time.pause(step.milliseconds)
  if (step.do === 'sign out everywhere') {
    return app.signOutEverywhere(step.user, step.exceptOwn ? req.sessionID : undefined)
  }
  // Served without sessions.
  if (req.sessionID === undefined) return
  if (step.do === 'count') return app.count(req.sessionID)
  const { session } = req
  // Logged out earlier in this request.
  if (session === undefined) return
  switch (step.do) {
    case 'set':
      return setLeaf(session, step.leaf, step.value)
    case 'delete':
      return setLeaf(session, step.leaf, undefined)
    case 'login':
      session.user = `${step.user}#${world.newLogin()}`
      return
    case 'life':
      if (session.cookie.originalMaxAge !== null) session.cookie.maxAge = step.milliseconds
      return
    case 'save':
      return called(done => session.save(done))
    case 'save and go on':
      session.save()
      return
    case 'reload':
      return called(done => session.reload(done))
    case 'regenerate':
      return called(done => session.regenerate(done))
    case 'logout':
      return called(done => session.destroy(done))
  }
}

function called(start: (done: (error?: unknown) => void) => void): Promise<void> {
  return new Promise((resolve, reject) => start(error => (error == null ? resolve() : reject(error))))
}

function pass(middleware: Middleware, req: object, res: object): Promise<void> {
  return called(done => middleware(req, res, done))
}

/** A step in words. */
function describe(step: Step): string {
  switch (step.do) {
    case 'set':
      return `sets ${step.leaf} = ${step.value}`
    case 'delete':
      return `deletes ${step.leaf}`
    case 'login':
      return `logs in as ${step.user}`
    case 'life':
      return `sets cookie.maxAge = ${step.milliseconds}`
    case 'pause':
      return `takes ${step.milliseconds} ms`
    case 'sign out everywhere':
      return `signs ${step.user} out everywhere${step.exceptOwn ? ' else' : ''}`
    case 'count':
      return 'counts one up (store.update)'
    default:
      return step.do === 'logout' ? 'logs out' : `calls ${step.do}`
  }
}
